"""Every read of sql/ on the schemas of ten releases: the rows that it must find, and those that it must leave out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from opsfix import sqlfile
from tests.sql import schema
from tests.sql.cases import cinder, compute_reads, glance, nova, placement_reads, quota_reads, quotas, server_reads
from tests.sql.cases.cinder import attachment, volume
from tests.sql.cases.glance import DELETED, IMAGE, OTHER_IMAGE, image, location
from tests.sql.cases.nova import CONNECTED, OTHER_SERVER, SERVER, VOLUME, mapping, server, service
from tests.sql.server import MariaDB, Row
from tests.sql.world import LONG_AGO, World

READS = sorted(
    name
    for name in (path.name.removesuffix(".sql") for path in sqlfile.directory().glob("*.sql"))
    if sqlfile.load(name).reads
)
BUSY = (
    "attaching", "detaching", "reserved", "creating", "deleting", "error_deleting", "uploading", "downloading",
    "maintenance", "retyping", "backing-up", "restoring-backup", "awaiting-transfer", "managing", "extending",
    "reverting",
)
SETTLED = ("available", "error", "error_restoring", "error_extending", "deleted")


@dataclass(frozen=True)
class Read:
    """``seed`` fills the world and its parameters and returns the rows to be found, in any order unless ``ordered``."""

    tables: tuple[str, ...]
    seed: Callable[[World], list[Row]]
    ordered: bool = False


def attachment_page(w: World) -> list[Row]:
    volume_id = volume(w, "volume", status="in-use")
    for key in ("a", "b", "c", "d", "f"):
        attachment(w, key, volume_id, id=key)
    attachment(w, "e", volume_id, id="e", deleted=1)
    w.params = {"after": "a", "page": 4}
    return [{"id": key, "volume_id": volume_id, "instance_uuid": SERVER} for key in ("b", "c", "d", "f")]


def cells(w: World) -> list[Row]:
    for name in ("cell0", "cell1"):
        w.add(name, "cell_mappings", uuid=f"uuid-of-{name}", name=name, database_connection=f"mysql://{name}")
    columns = ("uuid", "name", "database_connection")
    return [{column: w[name][column] for column in columns} for name in ("cell0", "cell1")]


def cinder_heartbeats(w: World) -> list[Row]:
    w.add("up", "services", host="storage-1@lvm", binary="cinder-volume", updated_at=LONG_AGO)
    w.add("new", "services", host="storage-2@lvm", binary="cinder-volume", updated_at=None)
    w.add("removed", "services", host="storage-3@lvm", binary="cinder-volume", updated_at=LONG_AGO, deleted=1)
    return [
        {"binary": "cinder-volume", "host": "storage-1@lvm", "seen": LONG_AGO},
        {"binary": "cinder-volume", "host": "storage-2@lvm", "seen": None},
    ]


def nova_heartbeats(w: World) -> list[Row]:
    service(w, "up", "gpu-1", LONG_AGO, updated_at=LONG_AGO + timedelta(days=1))
    service(w, "conductor", "gpu-1", None, binary="nova-conductor")
    service(w, "removed", "gpu-10", LONG_AGO, deleted=3)
    return [
        {"binary": "nova-compute", "host": "gpu-1", "seen": LONG_AGO},
        {"binary": "nova-conductor", "host": "gpu-1", "seen": None},
    ]


def mapping_page(w: World) -> list[Row]:
    servers(w)
    for volume_id in ("v1", "v2", "v3", "v5"):
        mapping(w, volume_id, SERVER, volume_id, attachment_id=f"a-{volume_id}")
    mapping(w, "v2 removed", SERVER, "v2", deleted=1, attachment_id="old")
    mapping(w, "v2 gone", "removed", "v2", attachment_id="of a server that is gone")
    mapping(w, "image", SERVER, None, destination_type="local")  # type: ignore[arg-type]
    w.params = {"after": "v1", "page": 2}
    return [{"volume_id": v, "attachment_id": f"a-{v}", "instance_uuid": SERVER} for v in ("v2", "v3")]


def server_page(w: World) -> list[Row]:
    for name in ("s1", "s2", "s3", "s4"):
        server(w, name, name, "gpu-1", vm_state="active", task_state="deleting")
    server(w, "removed", "s2x", "gpu-1", deleted=5)
    w.params = {"after": "s1", "page": 2}
    return [{"uuid": s, "host": "gpu-1", "node": "gpu-1", "vm_state": "active", "task_state": "deleting"} for s in ("s2", "s3")]


def attachments_mapped(w: World) -> list[Row]:
    servers(w)
    mapping(w, "one", SERVER, "v1", attachment_id="a1")
    mapping(w, "two", OTHER_SERVER, "v2", attachment_id="a2")
    mapping(w, "removed", SERVER, "v1", deleted=1, attachment_id="old")
    mapping(w, "gone", "removed", "v2", attachment_id="of a server that is gone")
    mapping(w, "not asked for", SERVER, "v3", attachment_id="a3")
    w.params = {"volume_ids": ["v1", "v2", "it's none"]}
    return [{"attachment_id": "a1"}, {"attachment_id": "a2"}]


def server_live(w: World) -> list[Row]:
    servers(w)
    w.params = {"server_id": SERVER}
    return [{"uuid": SERVER}]


def servers(w: World) -> None:
    server(w, "server", SERVER, "gpu-1")
    server(w, "other", OTHER_SERVER, None, vm_state="error")
    server(w, "third", "third", None)
    server(w, "removed", "removed", "gpu-1", deleted=5)


def attachments(w: World) -> list[Row]:
    volume_id = volume(w, "volume", status="in-use")
    volume(w, "other", status="in-use")
    attachment(w, "one", volume_id, id="one", attached_host="gpu-1")
    attachment(w, "reserved", volume_id, id="reserved", attached_host=None, attach_status="reserved", connector=None)
    attachment(w, "removed", volume_id, deleted=1)
    attachment(w, "of the other", w["other"]["id"])
    w.params = {"volume_id": volume_id}
    idle = {**alone("in-use"), "attachment_changed_at": LONG_AGO}
    return [
        idle | {"attachment_id": "one", "attached_host": "gpu-1", "has_connector": 1},
        idle | {"attachment_id": "reserved", "attached_host": None, "has_connector": 0},
    ]


def candidates(w: World) -> list[Row]:
    wanted = [volume(w, f"busy {status}", status=status) for status in BUSY]
    for status in (*BUSY, *SETTLED):
        volume(w, f"removed {status}", status=status, deleted=1)
    for status in SETTLED:
        volume(w, f"settled {status}", status=status)
    wanted.append(volume(w, "in-use by none", status="in-use"))
    wanted.append(volume(w, "in-use by a removed one", status="in-use"))
    attachment(w, "removed", wanted[-1], deleted=1)
    wanted.append(volume(w, "available and attached", status="available"))
    attachment(w, "left behind", wanted[-1], attach_status="error_attaching")
    attachment(w, "fine", volume(w, "in-use", status="in-use"))
    attachment(w, "gone", volume(w, "available after all", status="available"), deleted=1)
    return [{"id": volume_id} for volume_id in wanted]


def mappings(w: World) -> list[Row]:
    server(w, "server", SERVER, "gpu-1")
    server(w, "removed server", OTHER_SERVER, "gpu-1", deleted=9)
    connections = {None: 0, "": 0, "null": 0, "{}": 0, CONNECTED: 1}
    for info in connections:
        mapping(w, str(info), SERVER, VOLUME, connection_info=info, boot_index=0, attachment_id="a")
    mapping(w, "removed", SERVER, VOLUME, deleted=7)
    mapping(w, "of a removed server", OTHER_SERVER, VOLUME)
    mapping(w, "of another volume", SERVER, "another")
    w.params = {"volume_id": VOLUME}
    columns = ("id", "uuid", "instance_uuid", "volume_id", "attachment_id", "boot_index", "device_name")
    return [{c: w[str(i)][c] for c in columns} | {"connected": k} for i, k in connections.items()]


def alone(status: str) -> Row:
    """A volume that has no attachment and that nobody works on."""
    unattached = {"attachment_id": None, "attached_host": None, "has_connector": 0, "attachment_changed_at": None}
    return {"status": status, "changed_at": LONG_AGO, **unattached, "worker_id": None, "worker_host": None, "worker_alive": 0}


def worker(age: int | None) -> Callable[[World], list[Row]]:
    """A worker whose service reported so many seconds ago, or whose service was removed."""

    def seed(w: World) -> list[Row]:
        volume_id = volume(w, "volume", status="deleting")
        seen = w.utc() - timedelta(seconds=age or 0)
        removed = int(age is None)
        w.add("service", "services", host="storage-1@lvm", binary="cinder-volume", updated_at=seen, deleted=removed)
        works_on = {"resource_type": "Volume", "resource_id": volume_id, "service_id": w["service"]["id"]}
        w.add("worker", "workers", status="deleting", **works_on)
        w.add("snapshot", "workers", resource_type="Snapshot", resource_id=volume_id, status="creating")
        w.add("other", "workers", resource_type="Volume", resource_id="other", status="creating")
        w.params = {"volume_id": volume_id}
        works = {
            "worker_id": w["worker"]["id"], "worker_host": None if removed else "storage-1@lvm",
            "worker_alive": int(age is not None and age < 60),
        }
        return [{**alone("deleting"), **works}]

    return seed


def no_worker(w: World) -> list[Row]:
    worker(0)(w)
    w.remove("worker")
    return [alone("deleting")]


def attachments_live(w: World) -> list[Row]:
    asked = [volume(w, name, status="in-use") for name in ("one", "two")]
    live = [attachment(w, f"of {v}", v) for v in asked]
    attachment(w, "removed", asked[0], deleted=1)
    attachment(w, "not asked for", volume(w, "three", status="in-use"))
    w.params = {"volume_ids": [*asked, "it's none"]}
    return [{"id": a} for a in live]


def status(w: World) -> list[Row]:
    volume_id = volume(w, "volume", status="managing")
    volume(w, "other", status="available")
    w.params = {"volume_id": volume_id}
    return [alone("managing")]


def status_of_a_removed_volume(w: World) -> list[Row]:
    status(w)
    w.change("volume", deleted=1)
    return []


def record(w: World) -> list[Row]:
    image(w, "image", IMAGE, status="active")
    image(w, "other", OTHER_IMAGE, status="active")
    location(w, "one", IMAGE, "active")
    location(w, "two", IMAGE, "deleted", **DELETED)
    location(w, "of the other", OTHER_IMAGE, "active")
    w.params = {"image_id": IMAGE}
    row = {"name": "image", "owner": "owner", "status": "active", "deleted": 0, "deleted_at": None}
    return [
        {**row, "location_id": w["one"]["id"], "location_status": "active", "location_deleted": 0},
        {**row, "location_id": w["two"]["id"], "location_status": "deleted", "location_deleted": 1},
    ]


def record_of_a_deleted_image(w: World) -> list[Row]:
    image(w, "image", IMAGE, status="deleted", **DELETED)
    w.params = {"image_id": IMAGE}
    nowhere = {"location_id": None, "location_status": None, "location_deleted": None}
    return [{"name": "image", "owner": "owner", "status": "deleted", "deleted": 1, "deleted_at": LONG_AGO, **nowhere}]


def images_waiting(w: World) -> list[Row]:
    """The name is compared exactly: case, accents, blanks at the end."""
    waits = {"status": "pending_delete", **DELETED}
    for number, name in enumerate(("Bild-é", "bild-é", "Bild-e", "Bild-é ", "", None)):
        image(w, f"{number}", f"{IMAGE[:-1]}{number}", **waits, name=name)
    image(w, "live", f"{IMAGE[:-1]}d", name="Bild-é", status="active")
    image(w, "half", f"{IMAGE[:-1]}e", name="Bild-é", status="pending_delete")
    image(w, "done", f"{IMAGE[:-1]}f", name="Bild-é", status="deleted", **DELETED)
    w.params = {"image_name": "Bild-é"}
    return [{"id": f"{IMAGE[:-1]}0", "owner": "owner"}]


def images_waiting_of_a_name_that_no_table_keeps(w: World) -> list[Row]:
    images_waiting(w)
    w.params = {"image_name": "🐧"}
    return []


def image_ages(w: World) -> list[Row]:
    image(w, "image", IMAGE, updated_at=LONG_AGO + timedelta(days=1))
    image(w, "never changed", OTHER_IMAGE, updated_at=None)
    image(w, "deleted", f"{IMAGE[:-1]}f", **DELETED)
    image(w, "not asked for", f"{IMAGE[:-1]}e")
    w.params = {"image_ids": [IMAGE, OTHER_IMAGE, f"{IMAGE[:-1]}f", "it's none"]}
    return [{"id": IMAGE, "changed_at": LONG_AGO + timedelta(days=1)}, {"id": OTHER_IMAGE, "changed_at": LONG_AGO}]


def image_users(w: World) -> list[Row]:
    booted = {"image_ref": IMAGE}
    for name in ("booted", "soft-deleted"):
        server(w, name, name, "gpu-1", vm_state="soft-delete" if name == "soft-deleted" else "active", **booted)
    server(w, "kernel", "kernel", "gpu-1", image_ref=OTHER_IMAGE, kernel_id=IMAGE)
    server(w, "ramdisk", "ramdisk", "gpu-1", image_ref=None, ramdisk_id=IMAGE)
    server(w, "gone", "gone", "gpu-1", deleted=9, **booted)
    server(w, "shelved", "shelved", None, vm_state="shelved_offloaded", image_ref=OTHER_IMAGE)
    kept = {"instance_uuid": "shelved", "key": "shelved_image_id"}
    w.add("disk", "instance_system_metadata", **kept, value=IMAGE)
    server(w, "unshelved", "unshelved", "gpu-1", image_ref="")
    w.add("old disk", "instance_system_metadata", **kept | {"instance_uuid": "unshelved"}, value=IMAGE, deleted=1)
    w.add("base", "instance_system_metadata", **kept | {"instance_uuid": "unshelved", "key": "image_base_image_ref"}, value=IMAGE)
    w.add("other disk", "instance_system_metadata", **kept | {"instance_uuid": "unshelved"}, value=OTHER_IMAGE)
    copy = {"image_id": IMAGE, "source_type": "image", "destination_type": "volume", "volume_id": None}
    for number, differs in enumerate(({}, {"volume_id": VOLUME}, {"destination_type": "local"}, {"source_type": "blank"},
                                      {"deleted": 3}, {"image_id": OTHER_IMAGE})):
        server(w, f"copy {number}", f"copy {number}", None, vm_state="building", image_ref="")
        mapping(w, f"mapping {number}", f"copy {number}", **copy | differs)  # type: ignore[arg-type]
    w.params = {"image_id": IMAGE}
    uses = {"boots": 0, "keeps": 0, "copies": 0}
    return [
        *({"uuid": name, **uses, "boots": 1} for name in ("booted", "soft-deleted", "kernel", "ramdisk")),
        {"uuid": "shelved", **uses, "keeps": 1},
        {"uuid": "copy 0", **uses, "copies": 1},
    ]


def image_builds(w: World) -> list[Row]:
    """As nova keeps them: versioned objects in JSON."""
    other = f'{{"nova_object.data": {{"image_ref": "{OTHER_IMAGE}"}}}}'
    this = other.replace(OTHER_IMAGE, IMAGE)
    for name, instance, mappings, spec in (
        ("own", this, "[]", other), ("copied", other, f"[{this}]", other), ("specified", None, None, this),
        ("other", other, "[]", other),
    ):
        w.add(name, "build_requests", instance_uuid=name, project_id="p", instance=instance, block_device_mappings=mappings)
        w.add(f"spec of {name}", "request_specs", instance_uuid=name, spec=spec)
    w.add("without", "build_requests", instance_uuid="without", project_id="p", instance=this, block_device_mappings=None)
    w.add("spec of a server", "request_specs", instance_uuid="built", spec=this)
    w.params = {"image_id": IMAGE}
    return [{"instance_uuid": name} for name in ("own", "copied", "specified", "without")]


def image_cache(w: World) -> list[Row]:
    for name, of in (("a", IMAGE), ("b", IMAGE), ("c", OTHER_IMAGE)):
        w.add(name, "image_volume_cache_entries", image_id=of, volume_id=name, host="storage-1@lvm#pool")
    w.params = {"image_id": IMAGE}
    return [{"volume_id": "a"}, {"volume_id": "b"}]


def archivable(w: World) -> list[Row]:
    server(w, "alive", SERVER, "gpu-1")
    for number in range(3):
        server(w, f"deleted {number}", f"{OTHER_SERVER[:-1]}{number}", "gpu-1", deleted=100 + number)
    return [{"waiting": 3}]


def shares_left(w: World) -> list[Row]:
    server(w, "alive", SERVER, "gpu-1")
    server(w, "gone", OTHER_SERVER, "gpu-1", deleted=7, deleted_at=LONG_AGO, display_name="web", project_id="p")
    if "share_mapping" not in w.tables:
        return []
    for number, uuid in enumerate((SERVER, OTHER_SERVER, OTHER_SERVER)):
        w.add(f"share {number}", "share_mapping", instance_uuid=uuid)
    return [{"uuid": OTHER_SERVER, "name": "web", "project_id": "p", "deleted_at": LONG_AGO, "shares": 2}]


def purgeable(w: World) -> list[Row]:
    for number in range(5):
        w.add(f"reservation {number}", "reservations", expire=LONG_AGO, deleted=int(number < 2))
    return [{"waiting": 2}]


def servers_unsettled(w: World) -> list[Row]:
    for name, values in {
        "in error": {"vm_state": "error"}, "building": {"vm_state": "building", "task_state": None},
        "busy": {"task_state": "powering-on"}, "without state": {"vm_state": None, "task_state": "scheduling"},
    }.items():
        server(w, name, name, "gpu-1", **values)
        server(w, f"{name}, deleted", f"{name}, deleted", "gpu-1", deleted=9, **values)
    for state in ("active", "stopped", "soft-delete", "shelved_offloaded", "resized", None):
        server(w, f"rests {state}", f"rests {state}", "gpu-1", vm_state=state)
    w.params = {}
    return [{"uuid": name} for name in ("in error", "building", "busy", "without state")]


def server_ips(w: World) -> list[Row]:
    names = {"b": "two", "c": None, "d": "three", "f": "four"}
    for uuid, name in {"a": "before", **names, "g": "after"}.items():
        server(w, uuid, uuid, "gpu-1", display_name=name, project_id="p")
    server(w, "e", "e", "gpu-1", deleted=9)
    server(w, "e2", "e2", "gpu-1", vm_state="soft-delete")
    w.change("c", vm_state=None)
    for uuid in ("b", "c"):
        w.add(f"cache of {uuid}", "instance_info_caches", instance_uuid=uuid, network_info=f"[{uuid}]")
    w.add("old cache", "instance_info_caches", instance_uuid="d", network_info="[old]", deleted=1)
    w.params = {"after": "a", "page": 4}
    return [
        {"uuid": u, "display_name": n, "project_id": "p", "host": "gpu-1", "network_info": {"b": "[b]", "c": "[c]"}.get(u)}
        for u, n in names.items()
    ]


CELLS = ("cell_mappings",)
BUILDS = ("build_requests", "request_specs")
CASES = {
    "read_archivable.nova": {"": Read(("instances",), archivable)},
    "read_shares_left.nova": {"": Read(("instances", "share_mapping"), shares_left)},
    "read_purgeable.cinder": {"": Read(("reservations",), purgeable)},
    **{
        name: {v: Read(*case) for v, case in variants.items()}
        for name, variants in (compute_reads.CASES | placement_reads.CASES | server_reads.CASES).items()
    },
    "read_attachments_live.cinder": {"": Read(cinder.TABLES, attachments_live)},
    "read_attachments_mapped.nova": {"": Read(nova.TABLES, attachments_mapped)},
    "read_attachment_page.cinder": {"": Read(cinder.TABLES, attachment_page, ordered=True)},
    "read_image.glance": {"": Read(glance.TABLES, record), "deleted": Read(glance.TABLES, record_of_a_deleted_image)},
    "read_image_ages.glance": {"": Read(glance.TABLES, image_ages)},
    "read_image_builds.nova_api": {"": Read(BUILDS, image_builds)},
    "read_image_cache.cinder": {"": Read(("image_volume_cache_entries",), image_cache)},
    "read_image_users.nova": {"": Read((*nova.TABLES, "instance_system_metadata"), image_users)},
    "read_images_waiting.glance": {
        "": Read(glance.TABLES, images_waiting),
        "four bytes": Read(glance.TABLES, images_waiting_of_a_name_that_no_table_keeps),
    },
    "read_cells.nova_api": {"": Read(CELLS, cells, ordered=True)},
    "read_heartbeats.cinder": {"": Read(cinder.TABLES, cinder_heartbeats)},
    "read_heartbeats.nova": {"": Read(nova.TABLES, nova_heartbeats)},
    "read_mapping_page.nova": {"": Read(nova.TABLES, mapping_page, ordered=True)},
    "read_server_live.nova": {"": Read(nova.TABLES, server_live)},
    "read_server_ips.nova": {"": Read(("instances", "instance_info_caches"), server_ips, ordered=True)},
    "read_server_page.nova": {"": Read(nova.TABLES, server_page, ordered=True)},
    "read_servers_unsettled.nova": {"": Read(nova.TABLES, servers_unsettled)},
    "read_quota_counts.cinder": {"": Read(quotas.TABLES, quota_reads.totals)},
    "read_quota_projects.cinder": {"": Read(quotas.TABLES, quota_reads.projects, ordered=True)},
    "read_quota_usages.cinder": {"": Read(quotas.TABLES, quota_reads.usages)},
    "read_quota_work.cinder": {"": Read(quotas.TABLES, quota_reads.work)},
    "read_volume_candidates.cinder": {"": Read(cinder.TABLES, candidates)},
    "read_volume_mappings.nova": {"": Read(nova.TABLES, mappings)},
    "read_volume.cinder": {
        "attached": Read(cinder.TABLES, attachments),
        "alone": Read(cinder.TABLES, status),
        "removed": Read(cinder.TABLES, status_of_a_removed_volume),
        "a service alive at work": Read(cinder.TABLES, worker(10)),
        "silent": Read(cinder.TABLES, worker(100)),
        "of a removed service": Read(cinder.TABLES, worker(None)),
        "none": Read(cinder.TABLES, no_worker),
    },
}
EACH = [
    pytest.param(release, name, case, id="-".join(filter(None, (release, name, variant))))
    for release in schema.RELEASES
    for name, variants in CASES.items()
    for variant, case in variants.items()
]


def test_every_read_has_a_case() -> None:
    assert sorted(CASES) == READS


@pytest.mark.parametrize(("release", "name", "case"), EACH)
def test_a_read_finds_what_it_is_for(mariadb: MariaDB, release: str, name: str, case: Read) -> None:
    file = sqlfile.load(name)
    world = World(mariadb, release, file.database, case.tables)
    wanted, before = case.seed(world), world.checksums()
    assert set(world.params) == set(file.params)
    [statement] = file.statements
    found = world.database.read(statement, world.params)
    assert (found if case.ordered else in_order(found)) == (wanted if case.ordered else in_order(wanted))
    assert statement.rows.admits(len(found))
    assert world.checksums() == before


def in_order(rows: list[Row]) -> list[Row]:
    def key(row: Row) -> list[Any]:
        return [str(value) for _, value in sorted(row.items())]

    return sorted(rows, key=key)
