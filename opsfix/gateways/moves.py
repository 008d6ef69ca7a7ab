"""nova's calls that move servers to another host."""

from __future__ import annotations

from typing import Any

from opsfix.errors import CloudRefused, CloudUnknown
from opsfix.gateways.calls import answered, change, read

#: 2.68 leaves out every force; from 2.95 on an evacuated server would be left off.
MOVES = "2.68"
#: The first that shows the words of a failed event.
WORDS = "2.84"


class Moves:
    """See ports.Moves."""

    def __init__(self, compute: Any):
        self._compute = compute

    def live_migrate(self, server_id: str) -> None:
        """See ports.Moves."""
        self._act(server_id, {"os-migrateLive": {"host": None, "block_migration": "auto"}})

    def migrate(self, server_id: str) -> None:
        """See ports.Moves."""
        self._act(server_id, {"migrate": None})

    def confirm(self, server_id: str) -> None:
        """See ports.Moves."""
        self._act(server_id, {"confirmResize": None})

    def evacuate(self, server_id: str) -> None:
        """See ports.Moves."""
        self._act(server_id, {"evacuate": {}})

    def words(self, server_id: str) -> str:
        """See ports.Moves. A failure to tell is no failure of what it is about."""
        path = f"/servers/{server_id}/os-instance-actions"
        try:
            actions = read(lambda: answered(self._compute.get(path, microversion=WORDS)))["instanceActions"]
            if not actions:
                return ""
            last = f"{path}/{actions[0]['request_id']}"
            action = read(lambda: answered(self._compute.get(last, microversion=WORDS)))["instanceAction"]
        except (CloudRefused, CloudUnknown, KeyError):
            return ""
        failed = [e for e in action.get("events") or () if e.get("result") == "Error"]
        told = next((e["details"] for e in failed if e.get("details")), None)
        return " ".join(str(told or action.get("message") or "").split())

    def _act(self, server_id: str, body: dict[str, Any]) -> None:
        change(lambda: answered(self._compute.post(f"/servers/{server_id}/action", json=body, microversion=MOVES)))
