"""Servers as the engine's subject: whatever is left of one, wherever."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from opsfix.resources import Server
from opsfix.scene import Scene
from opsfix.server_case import ServerCase, own_ports, read_case
from opsfix.server_facts import facts_of
from opsfix.subject import Look

#: Seconds for which nova-compute may still be writing what it did, after the server's row is deleted.
WRITES_ON = 3.0


class Servers:
    """Servers as the engine's subject (subject.Subject). ``unlock``: a lock is taken away; ``rows``: the rows of one
    that is deleted go too."""

    type = "server"

    def __init__(self, *, unlock: bool = False, rows: bool = False):
        self._unlock, self._rows = unlock, rows

    def look(self, scene: Scene, subject_id: str) -> Look | None:
        """See subject.Subject. Of one that is gone, as long as anything of it is left."""
        case = read_case(scene, subject_id, rows=self._rows)
        if not case.known:
            return None
        facts = facts_of(case, scene, own_ports(case)) | {
            "server.locked": _locked(case), "server.unlock": self._unlock, "server.locked_out": _locked(case) and not self._unlock,
            "rows.wanted": self._rows, "rows.proof_due": self._rows and _proof_due(case, scene),
        }
        seen = case.server or Server(subject_id, *_names(case))
        left = "nothing is left of it" if case.state != "gone" else "only its id is still known"
        return Look(subject_id, seen.name, seen.project_id, facts, f"{case.state}, {left}", f"it is {case.state}, and {left}")

    def named(self, scene: Scene, name: str) -> list[tuple[str, str]]:
        """See subject.Subject."""
        scene.require_cells()
        return [(s.id, s.project_id) for s in scene.cloud.servers(name=name)]

    def gone(self, subject_id: str) -> dict[str, Any]:
        """See subject.Subject."""
        return {
            "server.id": subject_id, "server.state": "gone", "attachments.left": 0, "ports.left": 0, "allocation.held": False,
            "mapping.state": "none", "request.id": None, "rows.kept": False, "rows.proof_due": False,
        }


def _names(case: ServerCase) -> tuple[str, str]:
    row = case.row or {}
    return row.get("display_name") or "", row.get("project_id") or (case.mapping or {}).get("project_id") or ""


def _locked(case: ServerCase) -> bool:
    return bool((case.server and case.server.locked) or (case.live_rows and case.row and case.row["locked"]))


def _proof_due(case: ServerCase, scene: Scene) -> bool:
    """Whether nova-compute may be about to record that it ended the guest, which it does after the row is deleted."""
    if case.state != "deleted" or not case.row or not case.row["deleted_at"]:
        return False
    age = (datetime.now(UTC) - case.row["deleted_at"].replace(tzinfo=UTC)).total_seconds()
    ended = any(a["ended_on"] for a in case.actions)
    return not ended and age < WRITES_ON and scene.compute_state(case.row["host"]) == "up"
