"""Which volumes nova's mappings and cinder's attachments disagree on: candidates only, each is read in full before anything
is said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from opsfix.finders import pages
from opsfix.resources import Attachment, Mapping
from opsfix.scene import Scene

#: Servers whose mappings are asked for at the same time.
AT_ONCE = 8


def mismatches(attachments: Iterable[Attachment], mappings: Iterable[Mapping]) -> Iterator[tuple[str, str]]:
    """Volume and finding, from complete listings of all live attachments and of all live mappings of live servers."""
    kept, mapped = list(attachments), list(mappings)
    live, used = {a.id for a in kept}, {m.attachment_id for m in mapped}
    for mapping in mapped:
        if mapping.attachment_id and mapping.attachment_id not in live:
            yield mapping.volume_id, "volume-mapping-dangling"
    for (_, volume_id), times in Counter((m.server_id, m.volume_id) for m in mapped).items():
        if times > 1:
            yield volume_id, "mapping-duplicate"
    for attachment in kept:
        if attachment.server_id and attachment.id not in used:
            yield attachment.volume_id, "volume-attachment-orphaned"


def mismatched_volumes(scene: Scene) -> set[str]:
    """Ids of all volumes that the two sides disagree on: by the databases where they are configured, else by the API."""
    mappings = list(every_mapping(scene))
    found = {volume_id for volume_id, _ in mismatches(every_attachment(scene), mappings)}
    users: dict[str, set[str]] = {volume_id: set() for volume_id in found}
    for mapping in mappings:
        if mapping.volume_id in found:
            users[mapping.volume_id].add(mapping.server_id)
    scene.remember(users)
    return found


def every_attachment(scene: Scene) -> Iterator[Attachment]:
    """All live attachments. Raises CloudUnknown or DatabaseUnknown where the listing is not complete."""
    if scene.databases is None or not scene.has("cinder"):
        yield from scene.cloud.attachments()
        return
    for row in chain.from_iterable(pages(scene.databases, "read_attachment_page.cinder", "id")):
        yield Attachment(str(row["id"]), str(row["volume_id"]), "", row["instance_uuid"])


def every_mapping(scene: Scene) -> Iterator[Mapping]:
    """All live mappings of live servers: nova's rows, or the API's answer for each server that lists a volume.

    Raises CloudUnknown or DatabaseUnknown where the listing is not complete.
    """
    scene.require_cells()
    if scene.databases is not None and scene.has("nova"):
        for row in chain.from_iterable(pages(scene.databases, "read_mapping_page.nova", "volume_id")):
            yield Mapping(row["instance_uuid"], str(row["volume_id"]), row["attachment_id"], cell=row["cell"])
        return
    servers = [s for s in scene.cloud.servers() if s.volume_ids]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="mappings") as pool:
        yield from chain.from_iterable(pool.map(scene.cloud.mappings, servers))
