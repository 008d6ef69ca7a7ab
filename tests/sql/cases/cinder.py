"""Rows that the cases of cinder's volumes share."""

from __future__ import annotations

from typing import Any

from tests.sql.cases import Step
from tests.sql.cases.steps import seen
from tests.sql.world import LONG_AGO, NOW, World

TABLES = ("volumes", "volume_attachment", "attachment_specs", "volume_admin_metadata", "workers", "services")
#: migration_status values of a volume that is being migrated, and of one that is not (cinder goes on with these).
MIGRATING = ("migrating", "starting", "completing", "target:1f2e3d4c")
NOT_MIGRATING = (None, "", "none", "deleting", "error", "success")


def volume(w: World, name: str, **values: Any) -> str:
    """A volume as cinder stores it; its id."""
    defaults = {"volume_type_id": "any", "multiattach": 0, "host": "storage-1@lvm#pool", "updated_at": LONG_AGO}
    return str(w.add(name, "volumes", **defaults | values)["id"])


def attachment(w: World, name: str, volume_id: str, **values: Any) -> str:
    """A live attachment; its id."""
    defaults = {
        "instance_uuid": "5e4e4000-0000-4000-8000-00000000000a", "attach_status": "attached", "attach_mode": "rw",
        "attached_host": "gpu-1", "connector": '{"host": "gpu-1"}', "updated_at": LONG_AGO, "attach_time": LONG_AGO,
    }
    return str(w.add(name, "volume_attachment", volume_id=volume_id, **defaults | values)["id"])


def surroundings(w: World, volume_id: str) -> None:
    """What hangs on a volume and goes with its attachment, and what hangs there and stays."""
    w.add("mode", "volume_admin_metadata", volume_id=volume_id, key="attached_mode", value="rw", updated_at=LONG_AGO)
    w.add("readonly", "volume_admin_metadata", volume_id=volume_id, key="readonly", value="False")
    w.add("old mode", "volume_admin_metadata", volume_id=volume_id, key="attached_mode", deleted=1, deleted_at=LONG_AGO)
    service = w.add("service", "services", host="storage-1@lvm", binary="cinder-volume", updated_at=LONG_AGO)["id"]
    worker = {"status": "detaching", "service_id": service, "updated_at": LONG_AGO.replace(microsecond=123456)}
    w.add("worker", "workers", resource_type="Volume", resource_id=volume_id, **worker)
    w.add("snapshot worker", "workers", resource_type="Snapshot", resource_id=volume_id, status="creating")
    w.expect("mode", deleted=1, deleted_at=NOW)
    w.expect_gone("worker")


def status_seen(status: str) -> Step:
    """The volume has this status, and had it when it was read."""
    return seen("volume", "status", status, "volume_status")


def bystander(w: World, status: str) -> None:
    """Another volume in the very same state, with all that a fallback could take for its own."""
    other = volume(w, "other volume", status=status, attach_status="attached")
    attached = attachment(w, "other attachment", other)
    w.add("other spec", "attachment_specs", attachment_id=attached, key="k", value="v")
    w.add("other mode", "volume_admin_metadata", volume_id=other, key="attached_mode", value="ro")
    w.add("other worker", "workers", resource_type="Volume", resource_id=other, status="detaching")
    volume(w, "idle volume", status=status, attach_status="detached")
