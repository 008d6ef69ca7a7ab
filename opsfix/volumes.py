"""Collects what cinder and nova know of one volume, and states it as facts.

Sources of the rules: cinder/volume/api.py (attachment_deletion_allowed), cinder/db/sqlalchemy/api.py
(volume_detached), nova/compute/api.py (check_instance_state and the detach paths).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from opsfix.guards import Unread
from opsfix.resources import Attachment, Mapping, Migration, Server, Volume
from opsfix.scene import Scene
from opsfix.subject import Look

#: migration_status values with which cinder itself goes on as without a migration.
NOT_MIGRATING = (None, "", "none", "deleting", "error", "success")
#: nova/compute/api.py: detach_volume accepts only these.
DETACHABLE = ("active", "paused", "stopped", "resized", "soft-delete", "shelved", "shelved_offloaded")
#: What attaching and detaching move a volume through; the first three are on the way.
ATTACH_STATES = ("attaching", "detaching", "reserved", "in-use", "available")
#: How an attachment may stand that no server uses.
STALE = ("gone", "unconnected", "failed", "second", "of a server that is off")
#: power states of a guest that is not running: shutdown, crashed.
OFF = (4, 6)


@dataclass(frozen=True)
class VolumeCase:
    """All that was read of one volume. ``servers`` are those that an attachment or a mapping names; a missing
    key is a server that is proven gone: nova's 404 while every cell is up, and no live row in any configured cell."""

    volume: Volume
    attachments: tuple[Attachment, ...]
    mappings: tuple[Mapping, ...]
    servers: dict[str, Server]
    migrations: dict[str, tuple[Migration, ...]]
    worker: str | Unread
    transfers: tuple[str, ...] = ()


def read_case(scene: Scene, volume_id: str) -> VolumeCase | None:
    """Read one volume and all around it; None when cinder has no such volume. Raises CloudUnknown."""
    volume = scene.cloud.volume(volume_id)
    if volume is None:
        return None
    kept = _rows(scene, "read_volume.cinder", volume) if scene.has("cinder") else []
    case = around(scene, volume, kept)
    now, kept = _now(scene, volume, kept)
    return None if now is None else replace(
        case, volume=now, worker=_worker(scene, kept),
        transfers=tuple(scene.cloud.transfers(now.id)) if now.status == "awaiting-transfer" else (),
    )


def around(scene: Scene, volume: Volume, kept: list[dict[str, Any]]) -> VolumeCase:
    """What attachments and mappings say of a volume, and the servers that they name; ``kept`` are cinder's rows of it.
    Raises CloudUnknown."""
    attachments = _attachments(scene, volume, kept)
    mapped = _rows(scene, "read_volume_mappings.nova", volume) if scene.has("nova") else None
    named = {a.server_id for a in attachments} | (
        {r["instance_uuid"] for r in mapped} if mapped is not None else scene.mapping_servers(volume.id)
    )
    servers = {s.id: s for s in (_server(scene, i) for i in sorted(filter(None, named))) if s}
    if mapped is not None:
        mappings = tuple(_mapping(r) for r in mapped if r["instance_uuid"] in servers)
    else:
        mappings = tuple(
            m for s in servers.values() for m in scene.cloud.mappings(s) if m.volume_id == volume.id
        )
    migrations = {s: tuple(scene.cloud.migrations(s)) for s in servers}
    return VolumeCase(volume, attachments, mappings, servers, migrations, worker="none")


def _now(scene: Scene, volume: Volume, kept: list[dict[str, Any]]) -> tuple[Volume | None, list[dict[str, Any]]]:
    """The volume once more, None when it is gone by now. An attach or detach that began since it was read first shows two
    sides of two moments: it also shows here, as age."""
    if not kept:
        now = scene.cloud.volume(volume.id)
        return (replace(now, hosts=volume.hosts) if now else None), kept
    kept = _rows(scene, "read_volume.cinder", volume)
    if not kept:
        return None, kept
    return replace(volume, status=str(kept[0]["status"]), updated_at=_utc(kept[0]["changed_at"])), kept


def _rows(scene: Scene, file: str, volume: Volume) -> list[dict[str, Any]]:
    assert scene.databases is not None
    return scene.databases.read(file, {"volume_id": volume.id})


def _utc(naive: datetime | None) -> datetime | None:
    """A time of a service's table, which is naive UTC."""
    return naive.replace(tzinfo=UTC) if naive else None


def _attachments(scene: Scene, volume: Volume, rows: list[dict[str, Any]]) -> tuple[Attachment, ...]:
    """cinder's attachments; where its database is configured, with the host of each. One with a connector counts as
    connected: a host was named, and may have been given the disk before cinder wrote connection_info."""
    kept = {r["attachment_id"]: r for r in rows}
    shown = dict(volume.hosts)
    return tuple(
        replace(
            a,
            host=shown.get(a.id) or kept.get(a.id, {}).get("attached_host"),
            connected=a.connected or bool(kept.get(a.id, {}).get("has_connector")),
            changed_at=_utc(kept.get(a.id, {}).get("attachment_changed_at")),
        )
        for a in scene.cloud.attachments(volume_id=volume.id)
    )


def _server(scene: Scene, server_id: str) -> Server | None:
    """The server, None when it is proven gone; one that only the database has is a server that did not answer."""
    server = scene.cloud.server(server_id)
    if server is not None:
        return server
    if not scene.cells_up():
        return Server(id=server_id, name="", project_id="", answered=False)
    if scene.has("nova") and scene.databases is not None and scene.databases.read(
        "read_server_live.nova", {"server_id": server_id}
    ):
        return Server(id=server_id, name="", project_id="", answered=False)
    return None


def _mapping(row: dict[str, Any]) -> Mapping:
    return Mapping(
        server_id=row["instance_uuid"],
        volume_id=row["volume_id"],
        attachment_id=row["attachment_id"],
        uuid=row["uuid"],
        root=row["boot_index"] == 0,
        connected=bool(row["connected"]),
        id=row["id"],
        cell=row["cell"],
        device=row["device_name"],
    )


def _worker(scene: Scene, rows: list[dict[str, Any]]) -> str | Unread:
    """Whether a service works on the volume: 'none', 'alive' or 'dead' (it has no heartbeat, or cinder calls it down)."""
    if not scene.has("cinder"):
        return Unread("only cinder's workers table tells, and no cinder database is configured")
    if not rows or rows[0]["worker_id"] is None:
        return "none"
    down = scene.backend_state(rows[0]["worker_host"]) in ("down", "fenced")
    return "alive" if rows[0]["worker_alive"] and not down else "dead"


def facts_of(case: VolumeCase, scene: Scene) -> dict[str, Any]:
    """The case as facts: plain values, or Unread."""
    volume = case.volume
    changed = [t for t in (volume.changed_at, *(a.changed_at for a in case.attachments)) if t]
    changed_at = max(changed, default=None)
    facts = {
        "volume.id": volume.id,
        "volume.status": volume.status,
        "volume.migration": "none" if volume.migration_status in NOT_MIGRATING else volume.migration_status,
        "volume.group": volume.group_id,
        "volume.idle": scene.idle(changed_at),
        "volume.changed_at": changed_at.isoformat() if changed_at else None,
        "volume.multiattach": volume.multiattach,
        "volume.backend": volume.backend,
        "volume.backend_state": scene.backend_state(volume.backend),
        "volume.status_recorded": scene.has("cinder") or not volume.backend or Unread(
            f"the API says {volume.status} also of a volume that cinder takes over or gives up, and only its database tells"
        ),
        "volume.worked_on": _worked_on(case, scene),
        "volume.transfers": len(case.transfers),
    }
    return facts | _attachment_facts(case, scene) | _mapping_facts(case) | _server_facts(case, scene)


def _worked_on(case: VolumeCase, scene: Scene) -> str | Unread:
    """Whether a cinder-volume may still be busy with the volume; one that is down, or was never chosen, is not."""
    if case.worker == "alive":
        return "yes"
    if scene.backend_state(case.volume.backend) != "up":
        return "no"
    return case.worker if isinstance(case.worker, Unread) else "no"


def _attachment_facts(case: VolumeCase, scene: Scene) -> dict[str, Any]:
    standing = {a.id: standing_of(a, case, scene) for a in case.attachments}
    stale = [a for a in case.attachments if standing[a.id] in STALE]
    mapped = [a for a in case.attachments if standing[a.id] == "mapped"]
    guests = sorted({_guest(a, standing[a.id], case, scene) for a in stale} - {"absent"})
    first = stale[0] if stale else None
    return {
        "attachments.live": len(case.attachments),
        "attachments.ids": tuple(a.id for a in case.attachments),
        "attachments.first_id": _own_first(case),
        "attachments.mapped": len(mapped),
        "attachments.mapped_id": mapped[0].id if len(mapped) == 1 else None,
        "attachments.mapped_status": mapped[0].status if len({a.status for a in mapped}) == 1 else None,
        "attachments.mapped_connected": any(a.connected for a in mapped),
        "attachments.stale": len(stale),
        "attachments.stale_ids": tuple(a.id for a in stale),
        "attachments.stale_uses": {a.id: (a.server_id, a.status) for a in stale},
        "attachments.stale_frees": bool(case.mappings) and all(a.status.startswith("error_") for a in mapped),
        "attachments.stale_in_flight": any(_busy(case, a.server_id) for a in stale),
        "attachments.stale_guest": " and ".join(guests) or "absent",
        "attachments.stale_backend": "up" if all(a.status == "reserved" for a in stale) else scene.backend_state(case.volume.backend),
        "attachments.foreign": sum(s == "foreign" for s in standing.values()),
        "attachments.unproven": sum(s in ("connected without mapping", "unread") for s in standing.values()),
        "attachments.unread": sum(s == "unread" for s in standing.values()),
        "stale.attachment": first.id if first else None,
        "stale.server": first.server_id if first else None,
        "stale.status": first.status if first else None,
        "stale.reason": standing[first.id] if first else None,
    }


def _own_first(case: VolumeCase) -> str | None:
    """An attachment that may stand in for a lost one: of the server that maps the volume, if there is one."""
    mapping = {m.server_id for m in case.mappings}
    return next((a.id for a in sorted(case.attachments, key=lambda a: a.server_id not in mapping)), None)


def standing_of(attachment: Attachment, case: VolumeCase, scene: Scene) -> str:
    """How an attachment stands to nova: 'mapped' by a live mapping, 'gone' with its server, 'second' beside the one
    that nova uses, 'unconnected' (no host ever got it), 'failed' to attach, 'of a server that is off', or not proven:
    'foreign', 'connected without mapping', 'unread'. One that is attached was given to somebody, even where cinder has
    no connection_info of it (cinder's first attach call keeps none)."""
    reached = attachment.connected or attachment.status in ("attached", "detaching")
    if attachment.id in {m.attachment_id for m in case.mappings}:
        return "mapped"
    if attachment.server_id is None:
        return "foreign" if reached or attachment.host else "unconnected"
    server = case.servers.get(attachment.server_id)
    if server is None:
        return "gone"
    if not server.answered:
        return "unread"
    used = {m.attachment_id for m in case.mappings if m.server_id == server.id}
    if not reached or (used and not attachment.connected and not attachment.host and not used & _attached(case)):
        return "unconnected"
    if attachment.status == "error_attaching":
        return "failed"
    if used & _attached(case):
        return "second"
    fenced = scene.compute_state(attachment.host or server.host) == "fenced"
    if fenced or is_off(server) or server.vm_state == "shelved_offloaded":
        return "of a server that is off"
    return "connected without mapping"


def is_off(server: Server) -> bool:
    """Whether the guest has closed its disks. A suspended one is shut down for its host, and goes on with them later."""
    return server.power_state in OFF and server.vm_state not in ("suspended", "paused", "rescued")


def _never_given(attachment: Attachment, standing: str, scene: Scene) -> bool:
    """Whether no host was ever named for the attachment, so that there is no connection to end and no guest with it.

    Of one that was on its way only cinder's database proves that.
    """
    if attachment.connected or attachment.host:
        return False
    if standing == "gone":
        return attachment.status in ("reserved", "error_attaching") or (attachment.status == "attaching" and scene.has("cinder"))
    return standing == "second"


def _attached(case: VolumeCase) -> set[str | None]:
    return {a.id for a in case.attachments if a.status == "attached"}


def _guest(attachment: Attachment, standing: str, case: VolumeCase, scene: Scene) -> str:
    """Whether a guest may still write through a stale attachment: 'absent', or where it may run."""
    if standing == "unconnected" or _never_given(attachment, standing, scene):
        return "absent"
    server = case.servers.get(attachment.server_id or "")
    if standing == "second" and server and not is_off(server) and attachment.host in (None, server.host):
        return f"runs on {server.host} with another attachment, which may share the connection,"
    host = attachment.host or (server.host if server else None)
    if not host:
        if server is not None and server.vm_state == "shelved_offloaded":
            return "absent"
        return "may run on a host that only cinder's database names"
    state = scene.compute_state(host)
    return "absent" if state in ("up", "fenced") else f"may run on {host} ({state})"


def _mapping_facts(case: VolumeCase) -> dict[str, Any]:
    live = {a.id for a in case.attachments}
    dangling = [m for m in case.mappings if m.attachment_id and m.attachment_id not in live]
    one = case.mappings[0] if len(case.mappings) == 1 else None
    return {
        "mappings.live": len(case.mappings),
        "mappings.dangling": len(dangling),
        "mappings.legacy": sum(not m.attachment_id for m in case.mappings),
        "mapping.id": one.id if one else None,
        "mapping.uuid": one.uuid if one else None,
        "mapping.attachment": one.attachment_id if one else None,
        "mapping.device": one.device if one else None,
        "cell": one.cell if one else None,
        "mapping.connected": one.connected if one and one.connected is not None else Unread("only nova's database tells"),
        "mapping.root": boots_from(case),
        "identities": (*(a.id for a in case.attachments), *(m.uuid or m.server_id for m in case.mappings)),
        "volume.mapping_dangling": bool(dangling) and case.volume.status in ATTACH_STATES,
        "volume.stuck_mapping": bool(case.mappings)
        and (case.volume.status in ATTACH_STATES[:3] or (bool(dangling) and case.volume.status in ATTACH_STATES)),
    }


def boots_from(case: VolumeCase) -> bool | Unread:
    """Whether a server boots from the volume; nova's policy may hide the root device, and then its database must tell."""
    if any(m.root for m in case.mappings):
        return True
    if any(m.id is None and not case.servers[m.server_id].root_device for m in case.mappings):
        return Unread("nova does not show the server's root device to this user, and its database is not configured")
    return False


def _host_state(server: Server, scene: Scene) -> str | Unread:
    """See Scene.compute_state; a server without a host is one that never had it or was offloaded."""
    if server.host or server.vm_state in (None, "building", "error", "shelved_offloaded"):
        return scene.compute_state(server.host)
    return Unread(f"nova does not show the host of server {server.id}: opsfix needs an administrator")


def _server_facts(case: VolumeCase, scene: Scene) -> dict[str, Any]:
    """The one server that maps the volume; with several of them, what is not the same for all reads 'several'."""
    servers = [case.servers[s] for s in sorted({m.server_id for m in case.mappings})]
    if not servers:
        return {"server.count": 0, "server.answered": True, "server.in_flight": False}
    return {
        "server.count": len(servers),
        "server.answered": all(s.answered for s in servers),
        "server.id": _same(s.id for s in servers),
        "server.name": _same(s.name for s in servers),
        "server.vm_state": _same(s.vm_state for s in servers),
        "server.task_state": _same(s.task_state for s in servers),
        "server.power_state": _same(s.power_state for s in servers),
        "server.locked": any(s.locked for s in servers),
        "server.host": _same(s.host for s in servers),
        "server.host_state": _same(_host_state(s, scene) for s in servers),
        "server.heartbeat": _same(scene.heartbeat(s.host) for s in servers),
        "server.detach": _detach_refusal(case, servers) or "possible",
        "server.in_flight": any(_in_flight(case, s.id) for s in servers),
    }


def _detach_refusal(case: VolumeCase, servers: list[Server]) -> str | None:
    """Why nova could not detach this volume whatever is asked, None when it could."""
    if any(m.root for m in case.mappings):
        return "it is a boot disk"
    if len(servers) > 1:
        return "several servers map it and which of them was to let go is not recorded"
    if len(case.mappings) > 1:
        return "its server maps it twice, and nova would let go of either mapping"
    if servers[0].vm_state not in DETACHABLE:
        return f"nova does not detach from a server in vm_state {servers[0].vm_state}"
    return None


def _same(values: Iterable[Any]) -> Any:
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else "several"


def _busy(case: VolumeCase, server_id: str | None) -> bool:
    """The same, or at work on a task: a rebuild makes attachments for a while without any migration."""
    server = case.servers.get(server_id or "")
    return server is not None and (server.task_state is not None or _in_flight(case, server_id))


def _in_flight(case: VolumeCase, server_id: str | None) -> bool:
    """Whether the server is being built, or moved, or waits for the confirmation of a move."""
    server = case.servers.get(server_id or "")
    if server is None:
        return False
    return server.vm_state == "building" or any(m.in_progress for m in case.migrations.get(server.id, ()))


def _count(things: Sequence[object], what: str) -> str:
    return f"{len(things) or 'no'} {what}{'' if len(things) == 1 else 's'}"


class Volumes:
    """Volumes as the engine's subject (subject.Subject)."""

    type = "volume"

    def look(self, scene: Scene, subject_id: str) -> Look | None:
        """See subject.Subject."""
        case = read_case(scene, subject_id)
        if case is None:
            return None
        state = f"{case.volume.status}, {_count(case.attachments, 'attachment')}, {_count(case.mappings, 'mapping')}"
        return Look(subject_id, case.volume.name, case.volume.project_id, facts_of(case, scene), state)

    def named(self, scene: Scene, name: str) -> list[tuple[str, str]]:
        """See subject.Subject. A cinder whose tables keep no four-byte characters cannot compare with one."""
        comparable = all(ord(character) <= 0xFFFF for character in name)
        listing = scene.cloud.volumes(name=name) if comparable else scene.cloud.volumes()
        return [(v.id, v.project_id) for v in listing if v.name == name]

    def gone(self, subject_id: str) -> dict[str, Any]:
        """See subject.Subject."""
        return {"volume.id": subject_id, "volume.status": "deleted"}
