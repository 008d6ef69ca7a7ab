"""nova's calls that start and stop guests."""

from __future__ import annotations

from typing import Any

from openstack import exceptions as sdk_errors

from opsfix.errors import CloudRefused, CloudUnknown
from opsfix.gateways.calls import change


class Power:
    """See ports.Power."""

    def __init__(self, compute: Any):
        self._compute = compute

    def runs(self, server_id: str) -> bool | None:
        """See ports.Power. nova-compute asks its driver, and answers 409 for a guest that does not run.

        Source: nova/compute/manager.py, get_instance_diagnostics.
        """

        def ask() -> None:
            sdk_errors.raise_from_response(self._compute.get(f"/servers/{server_id}/diagnostics", microversion=None))

        try:
            change(ask)
        except CloudRefused as e:
            return False if e.status == 409 else None
        except CloudUnknown:
            return None
        return True

    def stop(self, server_id: str) -> None:
        """See ports.Power."""
        self._act(server_id, {"os-stop": None})

    def start(self, server_id: str) -> None:
        """See ports.Power."""
        self._act(server_id, {"os-start": None})

    def reboot_hard(self, server_id: str) -> None:
        """See ports.Power."""
        self._act(server_id, {"reboot": {"type": "HARD"}})

    def restore(self, server_id: str) -> None:
        """See ports.Power."""
        self._act(server_id, {"restore": None})

    def _act(self, server_id: str, body: dict[str, Any]) -> None:
        def send() -> None:
            answer = self._compute.post(f"/servers/{server_id}/action", json=body)
            sdk_errors.raise_from_response(answer)

        change(send)
