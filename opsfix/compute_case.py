"""Collects what nova, placement, neutron and cinder know of one compute host.

Hosts are compared exactly: the services' databases ignore the case of letters. Sources of the rules:
nova/api/openstack/compute/services.py (delete), nova/compute/resource_tracker.py, placement's handlers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opsfix.consumers import Consumer, below, read_consumers
from opsfix.consumers import rows as _rows
from opsfix.resources import Agent, Aggregate, Migration, Provider, Server, Service
from opsfix.scene import Scene

#: So many nodes are asked for one by one in placement; for more, all providers are listed once.
FEW = 8
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Node:
    """A node of the host: a compute_nodes row, or a hypervisor where only the API is asked. ``id`` and ``cell`` are the
    database's; ``live``: not soft-deleted."""

    uuid: str
    name: str
    live: bool = True
    mapped: bool = False
    id: int | None = None
    cell: str | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True)
class Compute:
    """nova's part. ``rows`` are its services rows, None where no database is configured; ``cells`` have the host now;
    ``twin``: another cell than the chosen one has a host of this name, so only what is the chosen cell's was read."""

    services: tuple[Service, ...]
    rows: tuple[Row, ...] | None
    nodes: tuple[Node, ...]
    cells: tuple[str, ...]
    twin: bool
    servers: tuple[str, ...]
    migrations: tuple[Migration, ...]
    aggregates: tuple[Aggregate, ...]
    mapping: Row | None
    tokens: tuple[Row, ...]


@dataclass(frozen=True)
class HostCase:
    """All that was read of one host. ``others`` are all agents of other hosts, which may take over."""

    host: str
    cells_up: bool
    compute: Compute
    providers: tuple[Provider, ...]
    consumers: tuple[Consumer, ...]
    uncounted: int | None
    agents: tuple[Agent, ...]
    others: tuple[Agent, ...]
    routers: Mapping[str, tuple[str, ...]]
    networks: Mapping[str, tuple[str, ...]]
    volume_services: tuple[Service, ...]
    volume_rows: tuple[Row, ...] | None
    volumes: int

    @property
    def known(self) -> bool:
        """Whether any service knows the host, or has known it."""
        c = self.compute
        kept = (c.services, c.rows, c.nodes, c.aggregates, c.mapping, c.tokens)
        return any(map(bool, (*kept, self.providers, self.agents, self.volume_services, self.volume_rows)))


def read_case(scene: Scene, host: str, cell: str | None, remembered: Iterable[Node]) -> HostCase:
    """Read all of one host; of a name that two cells have, only what is the chosen cell's. ``remembered`` are nodes that
    an earlier look saw, which nova's API no longer shows. Raises CloudUnknown."""
    listed = scene.cloud.compute_services()
    cells_up = all(s.state != "unknown" for s in listed)
    compute = _compute(scene, host, cell, [s for s in listed if s.binary == "nova-compute" and s.host == host])
    twin = compute.twin
    nodes = {n.uuid: n for n in (*remembered, *compute.nodes)}
    providers = _providers(scene, host, tuple(nodes.values()), by_name=not twin)
    consumers, uncounted = _consumers(scene, host, providers, compute.migrations) if cells_up else ((), 0)
    agents = scene.cloud.network.agents()
    own = () if twin else tuple(a for a in agents if a.host == host)
    services = tuple(s for s in scene.cloud.volume_services() if s.host.split("@")[0] == host and not twin)
    backends = sorted({s.host for s in services if s.binary == "cinder-volume"})
    return HostCase(
        host=host, cells_up=cells_up, compute=compute, providers=providers, consumers=consumers, uncounted=uncounted,
        agents=own, others=tuple(a for a in agents if a.host != host) if own else (),
        routers={a.id: tuple(scene.cloud.network.routers_of(a.id)) for a in own if a.type == "L3 agent"},
        networks={a.id: tuple(scene.cloud.network.networks_of(a.id)) for a in own if a.type == "DHCP agent"},
        volume_services=services,
        volume_rows=_rows(scene, "read_host_services.cinder", host=host) if not twin else (),
        volumes=sum(scene.cloud.hosts.volumes(backend) for backend in backends),
    )


def _compute(scene: Scene, host: str, cell: str | None, services: list[Service]) -> Compute:
    rows = _rows(scene, "read_host_services.nova", host=host)
    nodes = _nodes(scene, host)
    mappings = _rows(scene, "read_host_mapping.nova_api", host=host)
    tokens = _rows(scene, "read_host_tokens.nova", host=host) or ()
    if rows is None:
        cells = tuple(s.uuid or "" for s in services)
    else:
        cells = tuple(sorted({r["cell"] for r in rows if not r["deleted"]} | {n.cell or "" for n in nodes if n.live}))
    shared = len(cells) > 1 or (cell is not None and rows is not None and bool(set(cells) - {cell}))
    if shared and cell is not None and rows is not None:
        rows = tuple(r for r in rows if r["cell"] == cell)
        nodes = tuple(n for n in nodes if n.cell == cell)
        tokens = tuple(t for t in tokens if t["cell"] == cell)
        services = [s for s in services if s.uuid in {r["uuid"] for r in rows}]
    return Compute(
        services=tuple(services), rows=rows, nodes=nodes, cells=cells, twin=shared,
        servers=servers_on(scene, host, cell if shared else None),
        migrations=tuple(scene.cloud.hosts.migrations(host)),
        aggregates=() if shared else tuple(a for a in scene.cloud.hosts.aggregates() if host in a.hosts),
        mapping=mappings[0] if mappings and not shared else None,
        tokens=tuple(t for t in tokens if t["tokens"]),
    )


def servers_on(scene: Scene, host: str, cell: str | None) -> tuple[str, ...]:
    """Ids of the servers on the host: nova's API leaves out those that are soft-deleted, its tables do not."""
    kept = _rows(scene, "read_host_servers.nova", cell=cell, host=host)
    found = {str(r["uuid"]) for r in kept or ()}
    if cell is None or kept is None:
        found |= {s.id for s in scene.cloud.servers(host=host)}
    return tuple(sorted(found))


def _nodes(scene: Scene, host: str) -> tuple[Node, ...]:
    """The host's nodes; those of removed ones that another host has taken over since (ironic) are not its own."""
    rows = _rows(scene, "read_host_nodes.nova", host=host)
    if rows is None:
        return tuple(Node(h.uuid, h.name) for h in scene.cloud.hosts.hypervisors() if h.host == host)
    names = sorted({str(r["name"]) for r in rows})
    taken = _foreign(scene, host, names) if names else set()
    return tuple(
        Node(r["uuid"], r["name"], not r["deleted"], bool(r["mapped"]), r["id"], r["cell"], r["updated_at"])
        for r in rows if not r["deleted"] or r["name"] not in taken
    )


def _providers(scene: Scene, host: str, nodes: tuple[Node, ...], *, by_name: bool) -> tuple[Provider, ...]:
    """The providers of the host's nodes with all below them, children first.

    A provider is a node's by its uuid or its exact name, unless another host has a node of that name now.
    """
    placement = scene.cloud.placement
    uuids = {n.uuid for n in nodes}
    names = {n.name for n in nodes} | {host} if by_name else {n.name for n in nodes}
    listed = [p for n in sorted(names) for p in placement.providers(name=n)] if len(names) <= FEW else placement.providers()
    mine = [p for p in listed if p.uuid in uuids or (by_name and p.name in names)]
    foreign = _foreign(scene, host, sorted({p.name for p in mine})) if mine else set()
    roots = [p for p in mine if p.name not in foreign]
    found: dict[str, Provider] = {}
    for root in roots:
        found |= {p.uuid: p for p in below(root, placement.providers(tree=root.uuid))}
    return tuple(reversed(found.values()))


def _foreign(scene: Scene, host: str, names: list[str]) -> set[str]:
    """Those of the names that live nodes of other hosts have."""
    rows = _rows(scene, "read_nodes_named.nova", names=names)
    if rows is None:
        return {h.name for h in scene.cloud.hosts.hypervisors() if h.host != host}
    return {str(r["name"]) for r in rows if r["host"] != host}


def _consumers(
    scene: Scene, host: str, providers: tuple[Provider, ...], migrations: tuple[Migration, ...]
) -> tuple[tuple[Consumer, ...], int | None]:
    moving = {m.uuid for m in migrations if m.in_progress}
    return read_consumers(scene, providers, moving, lambda server: _live_standing(server, host))


def _live_standing(server: Server, host: str) -> str:
    if not server.answered:
        return "is a server whose cell is down"
    if server.host in (None, host):
        return "is a server that is on it, or on its way to a host"
    return "elsewhere"


def utc(naive: datetime | None) -> datetime | None:
    """A time of a service's table, which is naive UTC."""
    return naive.replace(tzinfo=UTC) if naive else None


def latest(times: Iterable[datetime | None]) -> datetime | None:
    """The newest of the times that are known."""
    return max((t for t in times if t), default=None)

