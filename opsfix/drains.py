"""What is to be drained as the engine's subjects: the host, which shall take no more, and the servers that have to go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opsfix.compute_case import servers_on
from opsfix.errors import CloudUnknown
from opsfix.resources import Migration, Server
from opsfix.scene import Scene
from opsfix.subject import Look

#: vm_state -> the way in which nova takes a server from a host that is up, and from one that is down
#: (nova/compute/api.py, check_instance_state of live_migrate, resize and evacuate).
UP = {"active": "live-migrate", "paused": "live-migrate", "stopped": "cold-migrate"}
DOWN = dict.fromkeys(("active", "stopped", "error"), "evacuate")
#: What to do about one that nova does not move as it is.
HINTS = {
    "suspended": "resume it first: 'openstack server resume {id}'",
    "rescued": "end the rescue first: 'openstack server unrescue {id}'",
    "shelved": "take it off its host: 'openstack server shelve --offload {id}'",
    "error": "recover it first: 'opsfix instance recover {id}'",
    "building": "wait until it is built, or delete it",
    "soft-delete": "it is deleted: 'opsfix instance restore {id}' or 'opsfix instance purge {id}'",
    "resized": "its resize waits for its owner: 'openstack server resize confirm {id}' or 'openstack server resize revert {id}'",
}
MOVED, WAIT, CONFIRM, NEVER = "none, it is off", "wait", "confirm", "none"


class DrainedHost:
    """See subject.Subject: a nova-compute by its host's exact name."""

    type = "compute"

    def look(self, scene: Scene, subject_id: str) -> Look | None:
        """See subject.Subject."""
        services = [s for s in scene.cloud.compute_services() if s.binary == "nova-compute" and s.host == subject_id]
        if not services:
            return None
        enabled = any(s.status == "enabled" for s in services)
        facts = {
            "compute.id": subject_id,
            "compute.cells": len(services),
            "compute.service": services[0].uuid,
            "compute.state": scene.compute_state(subject_id),
            "compute.enabled": enabled,
            "compute.idle": True,
        }
        return Look(subject_id, subject_id, "", facts, "it takes no new servers", "it takes no new servers already")

    def named(self, scene: Scene, name: str) -> list[tuple[str, str]]:
        """See subject.Subject."""
        del scene
        return [(name, "")]

    def gone(self, subject_id: str) -> Mapping[str, Any]:
        """See subject.Subject."""
        return {"compute.id": subject_id, "compute.enabled": False}


@dataclass(frozen=True)
class DrainedServers:
    """See subject.Subject: servers that are on ``host``, on their way from it, or not wholly off it."""

    host: str
    type: str = "server"

    def look(self, scene: Scene, subject_id: str) -> Look | None:
        """See subject.Subject. One that was deleted meanwhile is off its host, too. Raises CloudUnknown."""
        server = scene.cloud.server(subject_id)
        if server is None:
            scene.require_cells()
            return Look(subject_id, "", "", self.gone(subject_id), "it was deleted meanwhile", "it was deleted meanwhile")
        if not server.answered:
            raise CloudUnknown("nova does not tell about it: its cell is down: bring the cell up first")
        state = scene.compute_state(self.host)
        moving = [m for m in scene.cloud.migrations(subject_id) if m.in_progress]
        way = self._way(server, moving, state)
        hint = HINTS.get(server.vm_state or "", "look at it with 'openstack server show {id}'")
        facts = {
            "server.id": subject_id,
            "server.host": server.host,
            "server.from": self.host,
            "server.host_state": state,
            "server.vm_state": server.vm_state,
            "server.task_state": server.task_state,
            "server.way": way,
            "server.away": way == MOVED,
            "server.local_disk": server.image_id is not None,
            "server.hint": hint.format(id=subject_id),
            "server.idle": True,
            "server.changed_at": server.updated_at,
        }
        told = f"{server.vm_state} on {server.host}"
        return Look(subject_id, server.name, server.project_id, facts, told, f"it is off the host: {told}")

    def _way(self, server: Server, moving: Sequence[Migration], state: str) -> str:
        """How it can leave, as it is now."""
        if server.host != self.host:
            return _way_on(server, [m for m in moving if m.source == self.host], state)
        if moving:
            lasts = moving[0].status != "finished" and (state == "up" or moving[0].type == "evacuation")
            return WAIT if lasts else NEVER
        if state == "up" and server.task_state is not None:
            return NEVER
        return (UP if state == "up" else DOWN).get(server.vm_state or "", NEVER)

    def named(self, scene: Scene, name: str) -> list[tuple[str, str]]:
        """See subject.Subject."""
        return [(s.id, s.project_id) for s in scene.cloud.servers(name=name, host=self.host)]

    def gone(self, subject_id: str) -> Mapping[str, Any]:
        """See subject.Subject."""
        return {"server.id": subject_id, "server.idle": True, "server.way": MOVED, "server.away": True}


def _way_on(server: Server, moving: Sequence[Migration], state: str) -> str:
    """The same for one that nova has elsewhere: until its move is over, the old host has its disk and its resources. One
    that was on the host, and is in error now, did not go well."""
    if not moving:
        return MOVED if server.vm_state != "error" else NEVER
    if moving[0].status != "finished":
        return WAIT
    # what an administrator began may be confirmed here; a resize is its owner's, and a dead host confirms nothing
    return CONFIRM if moving[0].type == "migration" and state == "up" else NEVER


def to_move(scene: Scene, host: str) -> set[str]:
    """Ids of all servers that are on a host, or whose move from it is not over. Raises CloudUnknown."""
    scene.require_cells()
    moving = {m.server_id for m in scene.cloud.hosts.migrations(host) if m.in_progress and m.source == host}
    return moving | set(servers_on(scene, host, None))
