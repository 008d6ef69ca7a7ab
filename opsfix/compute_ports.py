"""neutron's ports of servers as the engine's subject.

Sources of the rules: nova/network/neutron.py (deallocate_for_instance: a port that nova made is deleted, another's is
unbound), neutron/plugins/ml2/plugin.py (_should_bind_port: a binding that failed is tried again at an update).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from opsfix.consumers import rows
from opsfix.errors import CloudRefused, CloudUnknown, DatabaseUnknown
from opsfix.finders import every_server
from opsfix.resources import Port, Server
from opsfix.scene import Scene
from opsfix.server_case import ServerCase, own_ports
from opsfix.sightings import Facts, Sightings
from opsfix.subject import Look

#: Seconds between two looks: nova frees the ports of a server before it ends it, and binds them again while it moves it.
PERIOD = 5.0
WORKERS = 8
FAILED = "binding_failed"


class ComputePorts:
    """See subject.Subject. ``period`` in seconds lies between the two looks."""

    type = "port"

    def __init__(self, period: float = PERIOD):
        self._sightings = Sightings(self.type, period)

    def look(self, scene: Scene, subject_id: str) -> Look | None:
        """See subject.Subject. Raises CloudUnknown, also while a cell is down."""
        facts = self._sightings.twice(subject_id, lambda _: self._facts(scene, subject_id), scene.stop)
        if facts is None and subject_id in self._sightings:
            return Look(subject_id, "", "", self.gone(subject_id), "it is deleted, as nova deletes its own", "it is gone")
        if facts is None:
            return None
        told = facts["port.told"]
        return Look(subject_id, facts["port.name"], facts["port.project"], facts, told, told)

    def named(self, scene: Scene, name: str) -> list[tuple[str, str]]:
        """See subject.Subject."""
        return [(p.id, p.project_id) for p in scene.cloud.network.ports(name=name)]

    def gone(self, subject_id: str) -> Mapping[str, Any]:
        """See subject.Subject."""
        return {"port.id": subject_id, "port.of_server": False, "port.vif": "none", "server.state": "none"}

    def find(self, scene: Scene) -> set[str]:
        """Ids of the ports of servers that no listing shows, and of those whose binding failed, each looked at a first time."""
        ports = [p for p in scene.cloud.network.ports() if _of_server(p)]  # before the servers: none is made afterwards
        servers = {s.id for s in every_server(scene)}
        found = {p.id for p in ports if p.vif_type == FAILED or p.device_id not in servers}
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="opsfix-port") as pool:
            list(pool.map(lambda i: self._sight(scene, i), sorted(found)))
        return found

    def _sight(self, scene: Scene, subject_id: str) -> None:
        """A first look; one that fails is told by the next."""
        with suppress(CloudUnknown, CloudRefused, DatabaseUnknown):
            self._sightings.once(subject_id, lambda _: self._facts(scene, subject_id))

    def _facts(self, scene: Scene, subject_id: str) -> Facts | None:
        scene.require_cells()
        port = scene.cloud.network.port(subject_id)
        if port is None:
            return None
        server = scene.cloud.server(port.device_id) if _of_server(port) else None
        kept = list(rows(scene, "read_server.nova", server_id=port.device_id) or ()) if _of_server(port) and server is None else []
        state = _state(port, server, kept)
        made = [row for row in kept if port.id in own_ports(ServerCase(port.device_id, None, row=row))]
        facts = {
            "port.id": port.id, "port.name": port.name, "port.project": port.project_id,
            "port.of_server": _of_server(port), "port.owner": port.device_owner, "port.host": port.host,
            "port.vif": port.vif_type or "none", "port.status": port.status, "port.still": True,
            "port.changed_at": port.changed_at.isoformat() if port.changed_at else None,
            "port.idle": scene.idle(port.changed_at),
            "ports.made": (port.id,) if made else (),
            "ports.users": () if made else (port.id,),
            "server.id": port.device_id,
            "server.state": state,
            "server.host": server.host if server else None,
            "server.host_state": scene.compute_state(server.host if server else None),
            "server.task_state": (server.task_state or "none") if server else "none",
            "server.moving": _moving(scene, port, server),
        }
        broken = state == "gone" or (port.vif_type == FAILED and state == "live")
        return facts | {
            "port.mark": (port.device_id, port.host, port.vif_type, state) if broken else None,
            "port.told": _told(port, server, state),
        }


def _of_server(port: Port) -> bool:
    return port.device_owner.startswith("compute:") and bool(port.device_id)


def _state(port: Port, server: Server | None, kept: list[Mapping[str, Any]]) -> str:
    """'live', 'down' for one whose cell is, 'hidden' with a row that the API does not show, 'gone', or 'none' to have it."""
    if not _of_server(port):
        return "none"
    if server is not None:
        return "live" if server.answered else "down"
    return "hidden" if any(not row["deleted"] for row in kept) else "gone"


def _moving(scene: Scene, port: Port, server: Server | None) -> bool:
    """Whether the server is on its way to another host, so that the port may have a binding on each."""
    if server is None or port.vif_type != FAILED:
        return False
    return any(m.in_progress for m in scene.cloud.migrations(server.id))


def _told(port: Port, server: Server | None, state: str) -> str:
    """What an operator would call it now."""
    if state == "none":
        return f"it belongs to {port.device_owner}" if port.device_owner else "it belongs to no server"
    if server is None:
        return f"its server {port.device_id} is {state}"
    return f"it is {port.vif_type or 'not bound'} on {port.host or 'no host'}, of server {server.name or server.id}"
