"""The fallbacks of ``sql/`` done to the fake rows, each statement as its WHERE would match."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opsfix.resources import Migration
from tests.fakes.cinder import FakeCinder
from tests.fakes.rows import MappingRow, ServerRow, VolumeRow
from tests.fakes.world import World

STATES = ("attaching", "detaching", "reserved", "in-use", "available")


@dataclass(frozen=True)
class Change:
    """How many rows a statement matches, and what it does to them."""

    rows: int
    apply: Callable[[], None] = lambda: None


def _volume(world: World, params: dict[str, Any], states: tuple[str, ...]) -> VolumeRow | None:
    row = world.volumes.get(params["volume_id"])
    if row is None or row.deleted or row.migrating or row.status != params["volume_status"] or row.status not in states:
        return None
    return row


def _workers(world: World, params: dict[str, Any]) -> Change:
    volume = params["volume_id"]
    return Change(int(volume in world.workers), lambda: world.workers.pop(volume, None) and None)


def abandoned(world: World, params: dict[str, Any]) -> list[Change]:
    """sql/volume_abandoned.cinder.sql"""
    row = _volume(world, params, STATES[:-1])
    if row is None or row.live:
        return [Change(0), Change(0), _workers(world, params)]

    def free() -> None:
        row.status, row.attach_status = "available", "detached"

    return [Change(1, free), Change(0), _workers(world, params)]


def orphaned(world: World, params: dict[str, Any]) -> list[Change]:
    """sql/volume_attachment_orphaned.cinder.sql"""
    row = _volume(world, params, STATES)
    live = row.live if row else []
    attachment = next((
        a for a in live
        if (a.id, a.server_id, a.status) == (params["attachment_id"], params["server_id"], params["attachment_status"])
    ), None)
    none, workers = Change(0), _workers(world, params)
    if row is None or attachment is None:
        return [Change(int(attachment is not None)), none, none, Change(int(row is not None)), workers]
    return [Change(1, lambda: FakeCinder(world).detached(row, attachment)), none, none, Change(1), workers]


def _mapping(world: World, params: dict[str, Any]) -> MappingRow | None:
    server = world.servers.get(params["server_id"])
    if server is None or server.deleted or server.vm_state == "building":
        return None
    if any(m.server_id == server.id and m.status not in Migration.ENDED for m in world.migrations):
        return None
    wanted = tuple(params[k] for k in ("mapping_id", "mapping_uuid", "volume_id", "attachment_id"))
    return next((
        m for m in server.live if (m.id, m.uuid, m.volume_id, m.attachment_id) == wanted and m.boot_index != 0
    ), None)


def _unmap(mapping: MappingRow | None) -> list[Change]:
    def delete() -> None:
        assert mapping is not None
        mapping.deleted = True

    return [Change(1, delete) if mapping else Change(0)]


def never_started(world: World, params: dict[str, Any]) -> list[Change]:
    """sql/volume_attach_never_started.nova.sql"""
    mapping = _mapping(world, params)
    busy = mapping is not None and (mapping.connected or world.servers[mapping.server_id].task_state is not None)
    return _unmap(None if busy else mapping)


def unheld(world: World, params: dict[str, Any]) -> list[Change]:
    """sql/mapping_unheld.nova.sql"""
    mapping = _mapping(world, params)
    if mapping and not _as_seen(world.servers[mapping.server_id], params, "host", "vm_state", "power_state"):
        mapping = None
    server = world.servers.get(params["server_id"])
    if mapping and server and mapping.connected and server.vm_state != "shelved_offloaded":
        off = server.power_state in (4, 6) and server.vm_state not in ("suspended", "paused", "rescued")
        mapping = mapping if off else None
    return _unmap(mapping)


def duplicate(world: World, params: dict[str, Any]) -> list[Change]:
    """sql/mapping_duplicate.nova.sql"""
    mapping = _mapping(world, params)
    if mapping and not _as_seen(world.servers[mapping.server_id], params, "vm_state", "power_state"):
        mapping = None
    kept = [
        m for m in (world.servers[mapping.server_id].live if mapping else ())
        if (m.id, m.attachment_id, m.volume_id) == (params["kept_id"], params["kept_attachment"], params["volume_id"])
    ]
    return _unmap(mapping if kept else None)


def _as_seen(server: ServerRow, params: dict[str, Any], *columns: str) -> bool:
    return server.task_state is None and all(getattr(server, column) == params[column] for column in columns)


def host_fenced(world: World, params: dict[str, Any]) -> list[Change]:
    """sql/volume_host_fenced.nova.sql"""
    mapping = _mapping(world, params)
    if mapping and world.servers[mapping.server_id].host != params["host"]:
        mapping = None
    service = world.service("nova-compute", params["host"])
    seen = params["heartbeat"]
    if service and (seen is None or service.updated_at.replace(tzinfo=None) > seen):
        mapping = None
    return _unmap(mapping)


def task_kept(world: World, params: dict[str, Any]) -> list[Change]:
    """sql/state_task_kept.nova.sql"""
    row = world.servers.get(params["server_id"])
    seen = (params["vm_state"], params["task_state"], params["host"], params["seen"])
    if row is None or row.deleted or seen != (row.vm_state, row.task_state, row.host, row.updated_at.replace(tzinfo=None)):
        return [Change(0)]
    if any(m.server_id == row.id and m.status not in Migration.ENDED for m in world.migrations):
        return [Change(0)]

    def end() -> None:
        row.task_state = None

    return [Change(1, end)]


FALLBACKS: dict[str, Callable[[World, dict[str, Any]], list[Change]]] = {
    "mapping_duplicate.nova": duplicate,
    "mapping_unheld.nova": unheld,
    "state_task_kept.nova": task_kept,
    "volume_abandoned.cinder": abandoned,
    "volume_attachment_orphaned.cinder": orphaned,
    "volume_attach_never_started.nova": never_started,
    "volume_host_fenced.nova": host_fenced,
}
