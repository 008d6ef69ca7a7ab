"""Hosts in memory: nova, placement, neutron and cinder as far as a purge of a compute host meets them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from opsfix.errors import CloudRefused
from opsfix.gateways.transaction import Changed, Preview
from opsfix.resources import Agent, Aggregate, Allocation, Hypervisor, Migration, Provider, Server, Service, Volume
from tests.fakes.owners import PlacementRows

LONG_AGO = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)


@dataclass
class HostCloud(PlacementRows):
    """ports.Cloud with its placement, network and hosts, which are this same object. ``sent`` are the changes in order."""

    services: list[Service] = field(default_factory=list)
    volume_rows: list[Service] = field(default_factory=list)
    nodes: list[Hypervisor] = field(default_factory=list)
    guests: dict[str, Server] = field(default_factory=dict)
    moves: list[Migration] = field(default_factory=list)
    groups: list[Aggregate] = field(default_factory=list)
    owned: dict[str, int] = field(default_factory=dict)
    tree: dict[str, Provider] = field(default_factory=dict)
    held: dict[str, Allocation] = field(default_factory=dict)
    traits: dict[str, set[str]] = field(default_factory=dict)
    service_types: frozenset[str] = frozenset({"compute", "placement"})
    hidden: dict[str, dict[str, int]] = field(default_factory=dict)
    all_agents: dict[str, Agent] = field(default_factory=dict)
    routers: dict[str, list[str]] = field(default_factory=dict)
    networks: dict[str, list[str]] = field(default_factory=dict)
    refuses: dict[str, CloudRefused] = field(default_factory=dict)
    installed: set[str] = field(default_factory=set)
    sent: list[tuple[Any, ...]] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None

    identity = "hosts"

    @property
    def hosts(self) -> HostCloud:
        return self

    @property
    def placement(self) -> HostCloud:
        return self

    @property
    def network(self) -> HostCloud:
        return self

    @property
    def manage(self) -> HostCloud:
        return self

    # building

    def add_compute(self, host: str, *, state: str = "down", node: str | None = None, **values: Any) -> None:
        """A nova-compute with its node and provider."""
        number = len(self.services)
        row = Service("nova-compute", host, state, uuid=f"service-{number}", updated_at=LONG_AGO)
        self.services.append(replace(row, **values))
        self.nodes.append(Hypervisor(f"node-{number}", node or host, host))
        self.add_provider(f"node-{number}", node or host)

    def add_agent(self, host: str, kind: str = "L3 agent", *, state: str = "down", serves: tuple[str, ...] = (), **values: Any) -> str:
        uuid = f"{kind} of {host}"
        self.all_agents[uuid] = replace(Agent(uuid, kind, kind.lower(), host, state, LONG_AGO), **values)
        (self.routers if kind == "L3 agent" else self.networks)[uuid] = list(serves)
        return uuid

    # reads

    def compute_services(self) -> list[Service]:
        return list(self.services)

    def volume_services(self) -> list[Service]:
        return list(self.volume_rows)

    def server(self, server_id: str) -> Server | None:
        return self.guests.get(server_id)

    def servers(self, *, host: str | None = None) -> Iterator[Server]:
        return iter([s for s in self.guests.values() if host in (None, s.host)])

    def hypervisors(self, *, with_servers: bool = False) -> Iterator[Hypervisor]:
        known = {s.host for s in self.services}
        return iter([replace(n, servers=0) if with_servers else n for n in self.nodes if n.host in known])

    def migrations(self, host: str | None = None) -> Iterator[Migration]:
        """nova's by host, or by server: this object is both."""
        return iter([m for m in self.moves if host not in self.guests or m.server_id == host])

    def aggregates(self) -> list[Aggregate]:
        return list(self.groups)

    def volumes(self, backend: str | None = None) -> Any:
        """How many a backend owns; without one, all volumes, as the cloud lists them."""
        if backend is not None:
            return self.owned.get(backend, 0)
        return iter([Volume(f"{b} {n}", "", "", "in-use", host=f"{b}#pool") for b, count in self.owned.items() for n in range(count)])

    def available(self, service: str) -> bool:
        return service in self.installed

    def catalogue(self) -> frozenset[str]:
        return self.service_types

    def agents(self, *, host: str | None = None) -> list[Agent]:
        return [a for a in self.all_agents.values() if host in (None, a.host)]

    def routers_of(self, agent_id: str) -> list[str]:
        return list(self.routers[agent_id])

    def networks_of(self, agent_id: str) -> list[str]:
        return list(self.networks[agent_id])

    def agents_of_router(self, router_id: str) -> list[str]:
        return [a for a, served in self.routers.items() if router_id in served]

    def agents_of_network(self, network_id: str) -> list[str]:
        return [a for a, served in self.networks.items() if network_id in served]

    # changes

    def _send(self, *what: Any) -> None:
        self.before(what[0])
        if what[0] in self.refuses:
            raise self.refuses[what[0]]
        self.sent.append(what)

    def _service(self, uuid: str, **values: Any) -> None:
        self.services = [replace(s, **values) if s.uuid == uuid else s for s in self.services]

    def disable_compute(self, service: str) -> None:
        self._send("disable_compute", service)
        self._service(service, status="disabled", updated_at=datetime.now(UTC))

    def force_down(self, service: str) -> None:
        self._send("force_down", service)
        self._service(service, forced_down=True, state="down", updated_at=datetime.now(UTC))

    def enable_compute(self, service: str) -> None:
        self._send("enable_compute", service)
        self._service(service, status="enabled")

    def unforce_down(self, service: str) -> None:
        self._send("unforce_down", service)
        self._service(service, forced_down=False)

    def join_aggregate(self, aggregate: int, host: str) -> None:
        self._send("join_aggregate", aggregate, host)
        self.groups = [replace(a, hosts=(*a.hosts, host)) if a.id == aggregate else a for a in self.groups]

    def enable_volume_service(self, binary: str, host: str) -> None:
        self._send("enable_volume_service", binary, host)
        self.volume_rows = [replace(s, status="enabled") if (s.binary, s.host) == (binary, host) else s for s in self.volume_rows]

    def leave_aggregate(self, aggregate: int, host: str) -> None:
        self._send("leave_aggregate", aggregate, host)
        self.groups = [
            replace(a, hosts=tuple(h for h in a.hosts if h != host)) if a.id == aggregate else a for a in self.groups
        ]

    def delete_compute(self, service: str) -> None:
        """As nova: providers go, children first, and one that is in use stays without a word."""
        self._send("delete_compute", service)
        [row] = [s for s in self.services if s.uuid == service]
        if row.binary == "nova-compute" and any(s.host == row.host for s in self.guests.values()):
            raise CloudRefused(409, "Unable to delete compute service that is hosting instances.")
        self.services.remove(row)
        for node in [n for n in self.nodes if n.host == row.host]:
            self.nodes.remove(node)
            self.tree = {u: p for u, p in self.tree.items() if p.root != node.uuid or self._tree_used(node.uuid)}

    def _tree_used(self, root: str) -> bool:
        return any(any(self.usages(p.uuid).values()) for p in self.tree.values() if p.root == root)

    def remove_router(self, agent_id: str, router_id: str) -> None:
        self._send("remove_router", agent_id, router_id)
        self.routers[agent_id].remove(router_id)

    def add_router(self, agent_id: str, router_id: str) -> None:
        self._send("add_router", agent_id, router_id)
        self.routers[agent_id].append(router_id)

    def remove_network(self, agent_id: str, network_id: str) -> None:
        self._send("remove_network", agent_id, network_id)
        self.networks[agent_id].remove(network_id)

    def add_network(self, agent_id: str, network_id: str) -> None:
        self._send("add_network", agent_id, network_id)
        self.networks[agent_id].append(network_id)

    def delete_agent(self, agent_id: str) -> None:
        self._send("delete_agent", agent_id)
        for kept in (self.all_agents, self.routers, self.networks):
            kept.pop(agent_id, None)

    def remove_volume_service(self, binary: str, host: str) -> None:
        """As cinder-manage: one row, whatever it is."""
        self._send("remove_volume_service", binary, host)
        self.volume_rows.remove(next(s for s in self.volume_rows if (s.binary, s.host) == (binary, host)))

    def disable_volume_service(self, binary: str, host: str) -> None:
        """As cinder: of two rows of one service the first is found."""
        self._send("disable_volume_service", binary, host)
        number = next(n for n, s in enumerate(self.volume_rows) if (s.binary, s.host) == (binary, host))
        self.volume_rows[number] = replace(self.volume_rows[number], status="disabled")


@dataclass
class HostRows:
    """ports.Databases: rows by read file, each with its cell; ``committed`` are the fallbacks with their values."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    done: dict[str, Callable[[Mapping[str, Any]], None]] = field(default_factory=dict)
    committed: list[tuple[str, dict[str, Any], str | None]] = field(default_factory=list)
    configured: tuple[str, ...] = ("cinder", "nova_api", "nova", "placement")

    def names(self) -> tuple[str, ...]:
        return self.configured

    def cell_names(self) -> list[str]:
        return ["cell1", "cell2"]

    def read(self, name: str, params: Mapping[str, Any], *, cell: str | None = None) -> list[dict[str, Any]]:
        assert isinstance(params, dict)
        return [r for r in self.rows.get(name, []) if cell in (None, r.get("cell"))]

    def preview(self, name: str, params: Mapping[str, Any], *, cell: str | None = None) -> Preview:
        assert params, (name, cell)
        return Preview([])

    def commit(self, name: str, params: Mapping[str, Any], record: Any, *, cell: str | None = None) -> Changed:
        record("sql-before")
        self.committed.append((name, dict(params), cell))
        self.done[name](params)
        return Changed([])


#: The backend of with_agents.
STORE = "store@lvm"


def one_dead(host: str = "gpu-1") -> HostCloud:
    """The host is dead, others that are called nearly so live."""
    made = HostCloud()
    made.add_compute(host)
    for other in ("gpu-10", "gpu-1.site-b", "GPU-1"):
        made.add_compute(other, state="up", updated_at=datetime.now(UTC))
    return made


def with_agents() -> HostCloud:
    """net-2 and store@lvm are dead; net-1, net-20 and a scheduler live."""
    made, now = HostCloud(), datetime.now(UTC)
    for host, state in (("net-1", "up"), ("net-2", "down"), ("net-20", "up")):
        for kind in ("L3 agent", "DHCP agent", "Metadata agent"):
            made.add_agent(host, kind, state=state)
    made.services = [
        Service("nova-scheduler", "ctl-1", "up", uuid="scheduler-1", updated_at=now),
        Service("nova-conductor", "ctl-2", "down", uuid="conductor-2", updated_at=LONG_AGO),
    ]
    made.volume_rows = [
        Service("cinder-volume", STORE, "down", updated_at=LONG_AGO),
        Service("cinder-backup", "store", "down", updated_at=LONG_AGO),
        Service("cinder-volume", "store0@lvm", "up", updated_at=now),
    ]
    return made
