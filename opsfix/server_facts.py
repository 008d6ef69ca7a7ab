"""States what was read of one server as facts: plain values, or Unread."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from opsfix.guards import Unread
from opsfix.resources import Migration
from opsfix.scene import Scene
from opsfix.server_case import ServerCase

#: nova/compute/task_states.py: a guest is on its way to a host, or to another.
MOVING = frozenset({
    "scheduling", "block_device_mapping", "networking", "spawning", "unshelving", "migrating", "resize_prep",
    "resize_migrating", "resize_migrated", "resize_finish", "resize_reverting", "resize_confirming", "rebuilding",
    "rebuild_block_device_mapping", "rebuild_spawning",
})
#: nova/compute/manager.py, _destroy_evacuated_instances: the source host has not yet taken away the guest that it had.
EVACUATED = ("accepted", "pre-migrating", "done")
#: States of a host on which no guest runs, or none ever did.
SILENT = ("fenced", "none")
#: The same, and a host whose nova-compute was taken out of service: nothing of it comes back by itself.
ENDED = (*SILENT, "missing")
NO_DATABASE = "only nova's database tells, and it is not configured"


def facts_of(case: ServerCase, scene: Scene, own_ports: set[str]) -> dict[str, Any]:
    """The case as facts; ``own_ports`` are those that nova made."""
    return (
        _server_facts(case, scene) | _host_facts(case, scene) | _api_facts(case, scene) | _attachment_facts(case, scene)
        | _port_facts(case, own_ports) | _row_facts(case, scene)
    )


def _seen(case: ServerCase, name: str) -> Any:
    """A column, by the row where there is one, for that is what a fallback compares with; else by the API."""
    return case.row[name] if case.row else getattr(case.server, name, None)


def _changed_at(case: ServerCase) -> datetime | None:
    """The last change: of the server while it is there, else of what nova's API database keeps of it."""
    if case.state in ("present", "hidden") and not case.row and case.server:
        return case.server.updated_at
    kept = case.row if case.live_rows else None
    row = kept or case.request or case.mapping
    naive = (row["updated_at"] or row["created_at"]) if row else None
    return naive.replace(tzinfo=UTC) if naive else None


def _unfinished(case: ServerCase) -> list[Migration]:
    return [m for m in case.migrations if m.in_progress]


def _server_facts(case: ServerCase, scene: Scene) -> dict[str, Any]:
    there = case.state in ("present", "hidden")
    vm_state, task = _seen(case, "vm_state"), _seen(case, "task_state")
    moving = bool(_unfinished(case))
    # A server that rests is idle, and so is one that is gone; a mapping that leads nowhere may be of one to come.
    restless = task or vm_state == "building" or moving if there else case.request or _mapped(case) == "live"
    changed_at = _changed_at(case)
    return {
        "server.id": case.id,
        "server.state": case.state,
        "server.answered": case.server is None or case.server.answered,
        "server.vm_state": vm_state,
        "server.task_state": task,
        "server.moving": there and moving,
        "server.resize_waits": there and vm_state == "resized" and moving,
        "server.idle": scene.idle(changed_at) if restless and case.state != "deleted" else True,
        "server.changed_at": changed_at.isoformat() if changed_at else None,
        "server.updated_at": _seen(case, "updated_at"),
        "volumes.doomed": ", ".join(case.doomed) or "no volume",
    }


def _host_facts(case: ServerCase, scene: Scene) -> dict[str, Any]:
    host = _seen(case, "host")
    state = scene.compute_state(host)
    attached = _attached(case)
    return {
        "server.host": host,
        "server.node": _seen(case, "node"),
        "server.host_state": state,
        "server.heartbeat": scene.heartbeat(host),
        "server.in_flight": _in_flight(case, scene),
        "server.written": bool(attached) and state not in ("up", *SILENT),
        "server.writes": "nothing" if not attached or state in SILENT else f"to {attached} volumes",
        "server.last_resort": case.state == "hidden" or state in ("down", "missing", *SILENT),
        "volumes.attached": attached,
    }


def _attached(case: ServerCase) -> int:
    """How many volumes a guest may have open: by nova or by cinder, whoever knows of more."""
    connected = {a.volume_id for a in case.attachments if a.status != "reserved" or a.connected}
    if case.live_rows and case.row:
        return max(len(connected), int(case.row["volumes"]))
    return len(connected | set(case.server.volume_ids if case.server else ()))


def _in_flight(case: ServerCase, scene: Scene) -> bool:
    """Whether a living nova-compute builds or moves it."""
    if case.state not in ("present", "hidden"):
        return False
    task, vm_state = _seen(case, "task_state"), _seen(case, "vm_state")
    busy = {_seen(case, "host")} if task in MOVING or (vm_state == "building" and task != "deleting") else set()
    for migration in _unfinished(case):
        busy |= {migration.source, migration.dest, _seen(case, "host")}
    return any(scene.compute_state(host) == "up" for host in busy)


def _mapped(case: ServerCase) -> str:
    """nova_api's mapping: 'live' for a server to be, 'queued' for one that is deleted, 'none'."""
    if case.mapping is None:
        return "none"
    return "queued" if case.mapping["queued_for_delete"] else "live"


def _api_facts(case: ServerCase, scene: Scene) -> dict[str, Any]:
    """What nova's API database has; its cell is that of the row, where there is one."""
    mapping = case.mapping or {}
    told = scene.has("nova_api")
    return {
        "cell": case.row["cell"] if case.row else None,
        "mapping.id": mapping.get("id"),
        "mapping.state": _mapped(case) if told else Unread(NO_DATABASE),
        "mapping.mendable": case.state == "hidden" and bool(mapping) and mapping["cell_uuid"] is None,
        "request.id": case.request["id"] if case.request else None,
        "request.created_at": case.request["created_at"] if case.request else None,
    }


def _attachment_facts(case: ServerCase, scene: Scene) -> dict[str, Any]:
    guests = {_guest(host, scene) for host in _hosts(case)} - {"absent"}
    return {
        "attachments.left": len(case.attachments),
        "attachments.ids": tuple(a.id for a in case.attachments),
        "attachments.guest": " and ".join(sorted(guests)) or "absent",
    }


def _hosts(case: ServerCase) -> Iterable[str | None]:
    """Hosts on which a guest may have one of the attachments open; None for one that nobody names."""
    given = [a for a in case.attachments if a.status != "reserved" or a.connected]
    own = case.row["host"] if case.row else None
    hosts = {a.host or own for a in given}
    return hosts | {own} if given and own else hosts


def _guest(host: str | None, scene: Scene) -> str:
    if host is None:
        return "may run on a host that only the databases name"
    state = scene.compute_state(host)
    return "absent" if state in ("up", "fenced") else f"may run on {host} ({state})"


def _port_facts(case: ServerCase, own_ports: set[str]) -> dict[str, Any]:
    made = tuple(p.id for p in case.ports if p.id in own_ports)
    kind = case.allocation.type if case.allocation else None
    return {
        "ports.left": len(case.ports),
        "ports.made": made,
        "ports.users": tuple(p.id for p in case.ports if p.id not in made),
        "ports.floating_ips": case.floating_ips,
        "allocation.held": case.allocation is not None,
        "allocation.of_server": kind == "INSTANCE" or (kind in (None, "unknown") and case.row is not None),
    }


def _row_facts(case: ServerCase, scene: Scene) -> dict[str, Any]:
    """The row in the cell, and whether the guest that it stands for is proven absent."""
    if not scene.has("nova"):
        return {"row.id": Unread(NO_DATABASE), "rows.live": Unread(NO_DATABASE), "rows.kept": Unread(NO_DATABASE)}
    row = case.row or {}
    host, ended = row.get("host"), {a["ended_on"] for a in case.actions}
    away = {m.source for m in case.migrations if m.type == "evacuation" and m.status in EVACUATED}
    left = sorted(f"{h} ({scene.compute_state(h)})" for h in away if h and scene.compute_state(h) not in ENDED)
    absent = host in ended or scene.compute_state(host) in ENDED
    return {
        "row.id": row.get("id"),
        "rows.live": case.live_rows,
        "rows.kept": case.state == "deleted",
        "rows.terminate_disabled": bool(case.live_rows and row.get("disable_terminate")),
        "rows.guest": "absent" if absent else f"may run on {host} ({scene.compute_state(host)})",
        "rows.ended": int(host is not None and host in ended),
        "rows.evacuated_from": ", ".join(left) or "no host",
        "rows.referenced": row.get("referenced", 0),
        "rows.actions": tuple(a["id"] for a in case.actions) or (0,),
    }
