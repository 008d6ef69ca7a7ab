"""Rows that the cases of nova's mappings share."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from tests.sql.cases import Flip, Step
from tests.sql.cases.steps import meanwhile, named, of_row
from tests.sql.world import LONG_AGO, NOW, World

TABLES = ("instances", "block_device_mapping", "migrations", "services")
SERVER, OTHER_SERVER = "5e4e4000-0000-4000-8000-00000000000a", "5e4e4000-0000-4000-8000-00000000000b"
VOLUME, OTHER_VOLUME = "0150b000-0000-4000-8000-00000000000a", "0150b000-0000-4000-8000-00000000000b"
ATTACHMENT, OTHER_ATTACHMENT = "a77ac000-0000-4000-8000-00000000000a", "a77ac000-0000-4000-8000-00000000000b"
CONNECTED = '{"driver_volume_type": "iscsi", "data": {"auth_password": "secret"}}'
#: When nova last heard of the host that is down.
HEARTBEAT = LONG_AGO
#: migrations.status: nova's own list of those that are over, and all others that nova sets.
OVER = ("confirmed", "reverted", "error", "failed", "completed", "cancelled", "done")
GOING_ON = (
    "accepted", "queued", "preparing", "pre-migrating", "running", "migrating", "post-migrating", "finished",
    "reverting", "confirming",
)

MAPPED = "mapping.id is not none"
NOT_ROOT = "mapping.root is False"
SETTLED = "server.in_flight is False"


def server(w: World, name: str, server_id: str, host: str | None, **values: Any) -> None:
    """A server that runs."""
    defaults = {"vm_state": "active", "task_state": None, "power_state": 1, "updated_at": LONG_AGO}
    w.add(name, "instances", uuid=server_id, host=host, node=host, **defaults | values)


def mapping(w: World, name: str, server_id: str, volume_id: str, **values: Any) -> None:
    """A live mapping of a volume."""
    defaults = {
        "source_type": "volume", "destination_type": "volume", "device_name": "/dev/vdb", "updated_at": LONG_AGO,
        "connection_info": None, "boot_index": None, "uuid": str(uuid.uuid4()),
    }
    w.add(name, "block_device_mapping", instance_uuid=server_id, volume_id=volume_id, **defaults | values)


def service(w: World, name: str, host: str, seen: Any, **values: Any) -> None:
    """A nova-compute, or another service of nova."""
    defaults = {"binary": "nova-compute", "topic": values.get("binary", "compute"), "forced_down": 0, "disabled": 0}
    w.add(name, "services", host=host, last_seen_up=seen, **defaults | values)


def seed(w: World, connection_info: str | None) -> None:
    """A server on gpu-1 that maps a volume, and all around it what looks alike."""
    now = w.utc()
    server(w, "server", SERVER, "gpu-1")
    server(w, "other server", OTHER_SERVER, "gpu-1")
    server(w, "server of gpu-10", "5e4e4000-0000-4000-8000-000000000010", "gpu-10")
    mapping(w, "mapping", SERVER, VOLUME, attachment_id=ATTACHMENT, connection_info=connection_info)
    mapping(w, "other mapping", OTHER_SERVER, VOLUME, attachment_id=OTHER_ATTACHMENT, connection_info=connection_info)
    mapping(w, "other volume", SERVER, OTHER_VOLUME, attachment_id=OTHER_ATTACHMENT, connection_info=connection_info)
    mapping(w, "boot disk", SERVER, "0150b000-0000-4000-8000-0000000000b0", boot_index=0, connection_info=CONNECTED)
    mapping(w, "removed", SERVER, VOLUME, attachment_id=ATTACHMENT, deleted=1, deleted_at=LONG_AGO)
    for status in OVER:
        migration(w, f"migration {status}", status)
    migration(w, "forgotten migration", "migrating", deleted=1)
    migration(w, "other migration", "migrating", instance_uuid=OTHER_SERVER)
    service(w, "service", "gpu-1", HEARTBEAT)
    service(w, "service of gpu-10", "gpu-10", now)
    service(w, "removed service", "GPU-1", now, deleted=77, deleted_at=LONG_AGO)
    service(w, "conductor", "gpu-1", now, binary="nova-conductor")
    w.params = {
        "mapping_id": w["mapping"]["id"], "mapping_uuid": w["mapping"]["uuid"], "attachment_id": ATTACHMENT,
        "server_id": SERVER, "volume_id": VOLUME,
    }
    w.expect("mapping", deleted=w["mapping"]["id"], deleted_at=NOW)


def migration(w: World, name: str, status: str | None, **values: Any) -> None:
    """A migration of the server."""
    hosts = {"source_compute": "gpu-1", "dest_compute": "gpu-2"}
    defaults = {"instance_uuid": SERVER, "migration_type": "live-migration"} | hosts
    w.add(name, "migrations", status=status, **defaults | values)


def moving(status: str, **values: Any) -> Step:
    """A migration of the server is going on."""
    return lambda w: migration(w, "new migration", status, **values)


def beats(name: str, seconds: int, **values: Any) -> Step:
    """A service has reported, seconds after the heartbeat that was seen."""
    return meanwhile(name, last_seen_up=HEARTBEAT + timedelta(seconds=seconds), **values)


#: What every fallback that removes a mapping must refuse.
FLIPS = (
    Flip("mapping deleted", MAPPED, lambda w: w.change("mapping", deleted=w["mapping"]["id"], deleted_at=LONG_AGO)),
    Flip("no mapping", MAPPED, named(mapping_id=None)),
    Flip("the other server's mapping", MAPPED, of_row("mapping_id", "other mapping")),
    Flip("the other volume's mapping", MAPPED, of_row("mapping_id", "other volume")),
    Flip("another mapping's uuid", MAPPED, of_row("mapping_uuid", "other mapping", "uuid")),
    Flip("the mapping's uuid was not read", MAPPED, named(mapping_uuid=None)),
    Flip("mapping of another server", MAPPED, meanwhile("mapping", instance_uuid=OTHER_SERVER)),
    Flip("another server", MAPPED, named(server_id=OTHER_SERVER)),
    Flip("mapping of another volume", MAPPED, meanwhile("mapping", volume_id=OTHER_VOLUME)),
    Flip("another volume", MAPPED, named(volume_id=OTHER_VOLUME)),
    Flip("mapping got another attachment", MAPPED, meanwhile("mapping", attachment_id=OTHER_ATTACHMENT)),
    Flip("mapping lost its attachment", MAPPED, meanwhile("mapping", attachment_id=None)),
    Flip("attachment was not read", MAPPED, named(attachment_id=None)),
    Flip("boot disk", NOT_ROOT, meanwhile("mapping", boot_index=0)),
    Flip("being built", SETTLED, meanwhile("server", vm_state="building")),
    Flip("no vm_state", SETTLED, meanwhile("server", vm_state=None)),
    *(Flip(f"migration {status}", SETTLED, moving(status)) for status in GOING_ON),
    Flip("resize to be confirmed", SETTLED, moving("finished", migration_type="resize")),
    Flip("evacuation", SETTLED, moving("accepted", migration_type="evacuation")),
    Flip("server deleted", None, lambda w: w.change("server", deleted=w["server"]["id"])),
    Flip("no such server", None, named(server_id="none")),
)

#: What both repair as well.
VARIANTS = {
    "no attachment": lambda w: (w.change("mapping", attachment_id=None), w.params.update(attachment_id=None)),
    **{f"boot index {index}": meanwhile("mapping", boot_index=index) for index in (-1, 1, 2)},
    **{f"vm_state {s}": meanwhile("server", vm_state=s) for s in ("stopped", "error", "paused", "shelved_offloaded")},
}
