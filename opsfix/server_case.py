"""Collects what nova, cinder, neutron and placement know of one server, also of one that is gone or half gone.

Sources of the rules: nova/compute/api.py (_get_instance, _delete), nova/compute/manager.py (terminate_instance,
_cleanup_running_deleted_instances, _destroy_evacuated_instances), nova/network/neutron.py (deallocate_for_instance).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from opsfix.resources import Allocation, Attachment, Migration, Port, Server
from opsfix.scene import Scene


@dataclass(frozen=True)
class ServerCase:
    """All that was read of one server. ``server`` is what the API shows, ``row`` the row that counts, in ``cell``: the
    live one, else a deleted one; None as well where no database of nova is configured. What is left of a server with
    its owners is read only once it is gone."""

    id: str
    server: Server | None
    row: Mapping[str, Any] | None = None
    live_rows: int = 0
    mapping: Mapping[str, Any] | None = None
    request: Mapping[str, Any] | None = None
    migrations: tuple[Migration, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    ports: tuple[Port, ...] = ()
    floating_ips: tuple[str, ...] = ()
    allocation: Allocation | None = None
    doomed: tuple[str, ...] = ()
    actions: tuple[Mapping[str, Any], ...] = ()

    @property
    def state(self) -> str:
        """'present' in the API, 'hidden' from it by a missing or wrong mapping, 'deleted' with a row, or 'gone'."""
        if self.server is not None:
            return "present"
        if self.live_rows:
            return "hidden"
        return "deleted" if self.row else "gone"

    @property
    def known(self) -> bool:
        """Whether anybody knows it, or has something of it."""
        traces = (self.server, self.row, self.mapping, self.request, self.attachments, self.ports, self.allocation)
        return any(traces)


def read_case(scene: Scene, server_id: str, *, rows: bool) -> ServerCase:
    """Read one server and all around it; ``rows``: also what proves that its guest is absent. Raises CloudUnknown."""
    server = scene.cloud.server(server_id)
    if server is None:
        scene.require_cells()
    found = _rows(scene, "read_server.nova", server_id) if scene.has("nova") else []
    live = [r for r in found if not r["deleted"]]
    if server is None and live:  # it may have been on its way from its build request into its cell
        server = scene.cloud.server(server_id)
    mapping = _one(_rows(scene, "read_server_mapping.nova_api", server_id)) if scene.has("nova_api") else None
    row = next((r for r in live if mapping and r["cell"] == mapping["cell_uuid"]), _one(live) or _one(found))
    case = ServerCase(
        id=server_id,
        server=server,
        row=row,
        live_rows=len(live),
        mapping=mapping,
        request=_one(_rows(scene, "read_build_request.nova_api", server_id)) if scene.has("nova_api") else None,
        migrations=migrations_of(scene, server_id),
        attachments=tuple(scene.cloud.attachments(server_id=server_id)),
        actions=tuple(_rows(scene, "read_server_actions.nova", server_id)) if rows and scene.has("nova") else (),
    )
    return _with_names(case, scene) if case.state in ("present", "hidden") else _with_leftovers(case, scene)


def _rows(scene: Scene, file: str, server_id: str) -> list[dict[str, Any]]:
    assert scene.databases is not None
    return scene.databases.read(file, {"server_id": server_id})


def _one(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    return rows[0] if rows else None


def migrations_of(scene: Scene, server_id: str) -> tuple[Migration, ...]:
    """A server's migrations, over or not: from the cells' tables where they are configured, which is what nova's API
    reads for it, one after the other. Raises CloudUnknown and DatabaseUnknown."""
    if not scene.has("nova"):
        return tuple(scene.cloud.migrations(server_id))
    return tuple(
        Migration(
            r["id"], server_id, str(r["status"]), r["migration_type"], source=r["source_compute"], dest=r["dest_compute"]
        )
        for r in _rows(scene, "read_server_migrations.nova", server_id)
    )


def _with_names(case: ServerCase, scene: Scene) -> ServerCase:
    """With the names of the volumes that nova will delete: what cannot be had back must be named before it goes."""
    doomed = []
    listed = case.server.doomed_ids if case.server else [r["volume_id"] for r in _rows(scene, "read_server_doomed.nova", case.id)]
    for volume_id in listed:
        volume = scene.cloud.volume(volume_id)
        doomed.append(f"{volume.name} ({volume_id})" if volume and volume.name else volume_id)
    return replace(case, doomed=tuple(doomed))


def _with_leftovers(case: ServerCase, scene: Scene) -> ServerCase:
    """With what its owners still keep for a server that is gone, and the host of each attachment."""
    hosts: dict[str, str | None] = {}
    for volume_id in {a.volume_id for a in case.attachments}:
        volume = scene.cloud.volume(volume_id)
        hosts |= dict(volume.hosts) if volume else {}
    network = scene.cloud.network
    ports = tuple(p for p in network.ports(device_id=case.id) if _of_server(p, case.id))
    return replace(
        case,
        attachments=tuple(replace(a, host=hosts.get(a.id)) for a in case.attachments),
        ports=ports,
        floating_ips=tuple(f.address for p in ports for f in network.floating_ips(p.id)),
        allocation=scene.cloud.placement.allocation(case.id),
    )


def _of_server(port: Port, server_id: str) -> bool:
    """Whether nova may free the port: another owner's, say a router's, is not the server's whatever its device."""
    return port.device_id == server_id and (port.device_owner.startswith("compute:") or not port.device_owner)


def own_ports(case: ServerCase) -> set[str]:
    """Ids of the ports that nova made for the server, by the cache of its row; a user's own it would have kept."""
    try:
        listed = json.loads((case.row or {}).get("network_info") or "[]")
        return {str(vif["id"]) for vif in listed if vif.get("preserve_on_delete") is False}
    except (ValueError, TypeError, KeyError, AttributeError):
        return set()
