"""Which resources are worth a look with ``--all``: candidates only, each is read in full before anything is said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from opsfix.ports import Databases
from opsfix.scene import Scene

PAGE = 1000
#: A volume in one of these is on its way somewhere, or was left there.
UNSETTLED = (
    "attaching", "detaching", "reserved", "creating", "deleting", "error_deleting", "uploading", "downloading",
    "maintenance", "retyping", "backing-up", "restoring-backup", "awaiting-transfer", "managing", "unmanaging",
    "error_managing_deleting", "extending", "reverting",
)


def stuck_volumes(scene: Scene) -> set[str]:
    """Ids of all volumes that may be stuck: by the databases of cinder and nova where they are configured, else from
    complete listings of the API."""
    if scene.databases is not None and scene.has("cinder", "nova"):
        return set(_by_database(scene.databases))
    return _by_api(scene)


def _by_database(databases: Databases) -> Iterator[str]:
    yield from (str(r["id"]) for r in databases.read("read_volume_candidates.cinder", {}))
    for page in _pages(databases, "read_attachment_page.cinder", "id"):
        servers = [r["instance_uuid"] for r in page if r["instance_uuid"]]
        live = {r["uuid"] for r in databases.read("read_servers_live.nova", {"server_ids": servers})} if servers else set()
        yield from (str(r["volume_id"]) for r in page if r["instance_uuid"] and r["instance_uuid"] not in live)
        pairs = Counter((r["volume_id"], r["instance_uuid"]) for r in page)
        yield from (str(volume) for (volume, _), times in pairs.items() if times > 1)
    for page in _pages(databases, "read_mapping_page.nova", "volume_id"):
        volumes = [r["volume_id"] for r in page]
        yield from (str(r["id"]) for r in databases.read("read_volumes_available.cinder", {"volume_ids": volumes}))


def _pages(databases: Databases, name: str, key: str) -> Iterator[list[dict[str, Any]]]:
    """The rows of a paged read, from every cell where there are several."""
    cells: list[str | None] = list(databases.cell_names()) if name.endswith(".nova") else [None]
    for cell in cells:
        after = ""
        while page := databases.read(name, {"after": after, "page": PAGE}, cell=cell):
            yield page
            after = page[-1][key]
            if len(page) < PAGE:
                break


def _by_api(scene: Scene) -> set[str]:
    cloud = scene.cloud
    found = {v.id for status in UNSETTLED for v in cloud.volumes(status=status)}
    in_use = set()
    for volume in cloud.volumes(status="in-use"):
        in_use.add(volume.id)
        if not volume.hosts:
            found.add(volume.id)
    live: set[str] = set()
    mapped: dict[str, set[str]] = {}
    for server in cloud.servers():
        live.add(server.id)
        for volume_id in server.volume_ids:
            mapped.setdefault(volume_id, set()).add(server.id)
    pairs: Counter[tuple[str, str | None]] = Counter()
    for attachment in cloud.attachments():
        pairs[attachment.volume_id, attachment.server_id] += 1
        if attachment.volume_id not in in_use or (attachment.server_id and attachment.server_id not in live):
            found.add(attachment.volume_id)
    found |= {volume_id for (volume_id, _), times in pairs.items() if times > 1}
    found |= mapped.keys() - in_use
    scene.mapped |= {volume_id: mapped.get(volume_id, set()) for volume_id in found}
    return found
