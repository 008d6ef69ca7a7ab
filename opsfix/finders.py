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
    """Volumes whose own state is odd, and those of which cinder and nova do not name the same attachments."""
    yield from (str(r["id"]) for r in databases.read("read_volume_candidates.cinder", {}))
    for page in _pages(databases, "read_attachment_page.cinder", "id"):
        named = {"volume_ids": [r["volume_id"] for r in page]}
        used = {r["attachment_id"] for r in databases.read("read_attachments_mapped.nova", named)}
        yield from (str(r["volume_id"]) for r in page if r["instance_uuid"] and r["id"] not in used)
    for page in _pages(databases, "read_mapping_page.nova", "volume_id"):
        named = {"volume_ids": [r["volume_id"] for r in page]}
        live = {r["id"] for r in databases.read("read_attachments_live.cinder", named)}
        yield from (str(r["volume_id"]) for r in page if r["attachment_id"] and r["attachment_id"] not in live)


def _pages(databases: Databases, name: str, key: str) -> Iterator[list[dict[str, Any]]]:
    """The rows of a paged read, from every cell where there are several; rows of one key stay on one page."""
    cells: list[str | None] = list(databases.cell_names()) if name.endswith(".nova") else [None]
    for cell in cells:
        after = ""
        while page := databases.read(name, {"after": after, "page": PAGE}, cell=cell):
            whole = [r for r in page if r[key] != page[-1][key]] if len(page) == PAGE else page
            yield whole or page
            after = (whole or page)[-1][key]
            if len(page) < PAGE:
                break


def _by_api(scene: Scene) -> set[str]:
    """The same from complete listings. The API lists no attachment ids of servers, so volume and server are compared."""
    cloud = scene.cloud
    scene.require_cells()
    found = {v.id for status in UNSETTLED for v in cloud.volumes(status=status)}
    in_use = set()
    for volume in cloud.volumes(status="in-use"):
        in_use.add(volume.id)
        if not volume.hosts:
            found.add(volume.id)
    mapped: dict[str, set[str]] = {}
    for server in cloud.servers():
        for volume_id in server.volume_ids:
            mapped.setdefault(volume_id, set()).add(server.id)
    pairs: Counter[tuple[str, str]] = Counter()
    for attachment in cloud.attachments():
        if attachment.volume_id not in in_use:
            found.add(attachment.volume_id)
        if attachment.server_id:
            pairs[attachment.volume_id, attachment.server_id] += 1
    found |= {v for (v, server), times in pairs.items() if times > 1 or server not in mapped.get(v, ())}
    found |= {v for v, servers in mapped.items() if v not in in_use or any((v, s) not in pairs for s in servers)}
    scene.remember({volume_id: mapped.get(volume_id, set()) for volume_id in found})
    return found
