"""Which resources are worth a look with ``--all``: candidates only, each is read in full before anything is said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from opsfix.errors import UsageError
from opsfix.ports import Databases
from opsfix.resources import Server
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
    for page in pages(databases, "read_attachment_page.cinder", "id"):
        named = {"volume_ids": [r["volume_id"] for r in page]}
        used = {r["attachment_id"] for r in databases.read("read_attachments_mapped.nova", named)}
        yield from (str(r["volume_id"]) for r in page if r["instance_uuid"] and r["id"] not in used)
    for page in pages(databases, "read_mapping_page.nova", "volume_id"):
        named = {"volume_ids": [r["volume_id"] for r in page]}
        live = {r["id"] for r in databases.read("read_attachments_live.cinder", named)}
        yield from (str(r["volume_id"]) for r in page if r["attachment_id"] and r["attachment_id"] not in live)


def pages(databases: Databases, name: str, key: str) -> Iterator[list[dict[str, Any]]]:
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


def every_server(scene: Scene) -> Iterator[Server]:
    """All live servers, where they are and what is done with them: nova's rows where they are configured, else its listing.

    Raises CloudUnknown or DatabaseUnknown where the listing is not complete.
    """
    scene.require_cells()
    if scene.databases is None or not scene.has("nova"):
        yield from scene.cloud.servers()
        return
    for row in chain.from_iterable(pages(scene.databases, "read_server_page.nova", "uuid")):
        yield Server(
            str(row["uuid"]), "", "", vm_state=row["vm_state"], task_state=row["task_state"], host=row["host"], node=row["node"]
        )


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


def host_names(lines: Iterable[str]) -> tuple[str, ...]:
    """The hosts that a file names, one a line; what follows a # is a comment. Raises UsageError for one that names none."""
    try:
        named = tuple(dict.fromkeys(filter(None, (line.partition("#")[0].strip() for line in lines))))
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"the list of hosts cannot be read: {e}") from None
    if not named:
        raise UsageError("the list of hosts names none")
    return named


def servers_on(scene: Scene, hosts: Sequence[str]) -> set[str]:
    """Ids of all servers of these hosts or hypervisors, compared exactly, and of what is left of servers there.

    Raises UsageError for a name that no hypervisor, service or server has, CloudUnknown where a cell is down.
    """
    scene.require_cells()
    computes = {s.host for s in scene.cloud.compute_services() if s.binary == "nova-compute"}
    nodes = {h.name for h in scene.cloud.hosts.hypervisors()}
    found = {name: _servers_of(scene, name, by_node=name not in computes) for name in hosts}
    for row in _hidden(scene, hosts):
        found[row["host"]].add(str(row["uuid"]))
    strange = [name for name in hosts if name not in computes | nodes and not found[name]]
    if strange:
        raise UsageError(f"no hypervisor and no host of nova is called {', '.join(strange)}: nothing was looked at")
    servers: set[str] = set().union(*found.values())
    return servers.union(*(_left_on(scene, name, servers) for name in hosts))


def _servers_of(scene: Scene, name: str, *, by_node: bool) -> set[str]:
    found = {s.id for s in scene.cloud.servers(host=name)}
    return found | {s.id for s in scene.cloud.servers(node=name)} if by_node else found


def _hidden(scene: Scene, hosts: Sequence[str]) -> list[dict[str, Any]]:
    """Servers there that nova's API may not find; the database's comparison ignores case."""
    if scene.databases is None or not scene.has("nova"):
        return []
    rows = scene.databases.read("read_servers_on_hosts.nova", {"hosts": list(hosts)})
    return [row for row in rows if row["host"] in hosts]


def _left_on(scene: Scene, name: str, servers: set[str]) -> set[str]:
    """Servers that are gone, and whose ports or allocations are still there; one that lives elsewhere is no target.
    What placement does not call a server may be a migration, or another service's."""
    ports = {p.device_id for p in scene.cloud.network.ports(host=name) if p.device_owner.startswith("compute:")}
    placement = scene.cloud.placement
    consumers = {c for p in placement.providers(name=name) if p.name == name for c in placement.consumers(p.uuid)}
    held = {c for c in consumers - servers - ports if (a := placement.allocation(c)) and a.type == "INSTANCE"}
    return {server for server in (ports | held) - servers if _is_gone(scene, server)}


def _is_gone(scene: Scene, server_id: str) -> bool:
    if scene.cloud.server(server_id) is not None:
        return False
    return not scene.has("nova") or scene.databases is None or not scene.databases.read(
        "read_server_live.nova", {"server_id": server_id}
    )
