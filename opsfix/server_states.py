"""Collects what nova tells of one server's state, and states it as facts.

Sources of the rules: nova/api/openstack/compute/admin_actions.py (os-resetState), nova/compute/api.py
(check_instance_state), nova/compute/manager.py (_sync_instance_power_state).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opsfix.errors import CloudUnknown
from opsfix.guards import Unread
from opsfix.ports import Cloud
from opsfix.resources import Server
from opsfix.scene import Scene
from opsfix.server_case import migrations_of
from opsfix.subject import Look

#: nova/compute/power_state.py
POWER = {0: "not found", 1: "running", 3: "paused", 4: "shut down", 6: "crashed", 7: "suspended"}
#: A task in which its owner asked nova to delete it.
DELETING = ("deleting", "soft-deleting")
#: States that os-resetState can express, or that nova corrects by itself within ten minutes.
RESETTABLE = ("active", "stopped", "error")
#: States that os-resetState would forget, and that only the way back out of them keeps usable.
KEPT = ("paused", "suspended", "rescued", "resized", "shelved", "shelved_offloaded", "soft-delete")
#: States in which something may have to be done about a server that is in no task; ``active`` with a guest that is off.
UNSETTLED = ("active", "building", "error", "soft-delete")


def runs(cloud: Cloud, server: Server) -> bool:
    """Whether ACTIVE is true: nova says so, nobody works on it, and its guest runs, by the hypervisor's own word where
    it can tell. nova's ``power_state`` is as old as the last task, or ten minutes."""
    if (server.vm_state, server.task_state, server.power_state) != ("active", None, 1):
        return False
    return cloud.power.runs(server.id) is not False


def power(server: Server) -> str:
    """nova's ``power_state`` in a word."""
    return POWER.get(server.power_state if server.power_state is not None else 0, str(server.power_state))


def _told(server: Server) -> str:
    """What a server's state means, for an operator who would rely on it."""
    state, guest = server.vm_state, power(server)
    text = f"{state}, guest {guest}"
    if server.task_state:
        return f"{text}, {server.task_state}"
    if state == "active" and server.power_state in (4, 6, 7):
        return f"{text}: nova calls it stopped within ten minutes; 'opsfix instance recover {server.id}' starts it"
    if state == "active" and server.power_state != 1:
        return f"{text}: it is not usable yet: 'opsfix instance recover {server.id}'"
    return text


@dataclass(frozen=True)
class ServerStates:
    """See subject.Subject. ``wanted`` is the state that a reset shall give; ``proven``: ACTIVE counts only where the
    guest runs; ``deleted``: names are those of soft-deleted servers."""

    wanted: str = "active"
    proven: bool = False
    deleted: bool = False
    type: str = "server"

    def look(self, scene: Scene, subject_id: str) -> Look | None:
        """See subject.Subject. nova's 404 proves nothing while a cell is down. Raises CloudUnknown."""
        server = scene.cloud.server(subject_id)
        if server is None:
            scene.require_cells()
            return None
        if not server.answered:
            raise CloudUnknown("nova does not tell about it: its cell is down: bring the cell up first")
        facts = self._facts(scene, server)
        return Look(server.id, server.name, server.project_id, facts, _told(server), self._healthy(server))

    def named(self, scene: Scene, name: str) -> list[tuple[str, str]]:
        """See subject.Subject."""
        scene.require_cells()
        found = [s for s in scene.cloud.servers_soft_deleted() if s.name == name] if self.deleted else []
        return [(s.id, s.project_id) for s in found or scene.cloud.servers(name=name)]

    def gone(self, subject_id: str) -> Mapping[str, Any]:
        """See subject.Subject."""
        return {"server.id": subject_id, "server.vm_state": "deleted", "server.task_state": None}

    def _facts(self, scene: Scene, server: Server) -> dict[str, Any]:
        changed = server.updated_at
        running = self.proven and runs(scene.cloud, server)
        rests = running or (server.task_state is None and server.vm_state not in UNSETTLED)
        return {
            "server.id": server.id,
            "server.vm_state": server.vm_state,
            "server.task_state": server.task_state,
            "server.power": power(server),
            "server.host": server.host,
            "server.host_state": scene.compute_state(server.host),
            "server.launched": server.launched_at is not None,
            "server.changed_at": changed,
            "server.idle": scene.idle(changed) if server.task_state or server.vm_state == "building" else True,
            "server.migration": Unread("it rests") if rests else _migration(scene, server),
            "server.fault": server.fault or "none told",
            "server.wanted": self.wanted,
            "server.runs": running,
            "server.seen_at": _naive(changed),
            "cell": _cell(scene, server),
        }

    def _healthy(self, server: Server) -> str:
        if self.deleted:
            return f"it is not deleted: {_told(server)}"
        if self.wanted == "error" and server.vm_state == "error":
            return "it is in error, and nobody works on it"
        if server.vm_state == "stopped":
            return f"it is stopped, as somebody asked: 'openstack server start {server.id}' starts it"
        return f"nothing hangs: {_told(server)}"


def _naive(time: datetime | None) -> datetime | None:
    """As nova's tables have it: UTC without a zone."""
    return time.astimezone(UTC).replace(tzinfo=None) if time else None


def _migration(scene: Scene, server: Server) -> str | None:
    """The status of a migration that is not over, None where there is none."""
    return next((m.status for m in migrations_of(scene, server.id) if m.in_progress), None)


def _cell(scene: Scene, server: Server) -> str | None:
    """The cell that has the server's row; asked for only where a fallback may follow."""
    if server.task_state is None or server.vm_state not in KEPT or not scene.has("nova") or scene.databases is None:
        return None
    return next((str(r["cell"]) for r in scene.databases.read("read_server_live.nova", {"server_id": server.id})), None)


def unsettled(scene: Scene) -> set[str]:
    """Ids of the servers that are in error, being built, or in a task: candidates only."""
    if scene.has("nova") and scene.databases is not None:
        return {str(r["uuid"]) for r in scene.databases.read("read_servers_unsettled.nova", {})}
    scene.require_cells()
    return {s.id for s in scene.cloud.servers() if s.task_state or s.vm_state in ("error", "building")}


#: What ``instance restore`` lists.
RESTORABLE = ("id", "name", "project_id", "host", "deleted_at")


def restorable(cloud: Cloud) -> dict[str, Any]:
    """Every soft-deleted server with the time of its deletion. Raises CloudUnknown."""
    rows = [
        {
            "id": s.id, "name": s.name, "project_id": s.project_id, "host": s.host,
            "deleted_at": s.updated_at.isoformat() if s.updated_at else None,
        }
        for s in cloud.servers_soft_deleted() if s.vm_state == "soft-delete"
    ]
    return {"schema": "opsfix.instance-restorable/1", "servers": sorted(rows, key=lambda r: (r["deleted_at"] or "", r["id"]))}
