"""Every compute host with what nova, placement and neutron tell of it, from a few complete listings."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opsfix.compute_case import utc
from opsfix.ports import Cloud, Databases
from opsfix.resources import Agent, Hypervisor, Provider, Service

SCHEMA = "opsfix.compute-list/1"
COLUMNS = ("host", "cell", "state", "status", "forced_down", "heartbeat_age", "servers", "nodes", "providers", "agents_down")
#: Hosts and their nodes are many to many only in ironic.
Nodes = Mapping[str, list[Hypervisor]]


@dataclass(frozen=True)
class Listed:
    """What the listings tell. ``seen`` maps (host, cell) to the last heartbeat; empty where no database is configured."""

    services: list[Service]
    nodes: Nodes
    providers: list[Provider]
    agents: list[Agent]
    servers: Counter[str]
    seen: dict[tuple[str, str], datetime | None]
    cells: dict[str, str]


def computes(cloud: Cloud, databases: Databases | None, *, dead: bool) -> dict[str, Any]:
    """The list's JSON; ``dead``: only hosts that nova does not call up. Raises CloudUnknown."""
    listed = _read(cloud, databases)
    now = datetime.now(UTC)
    hosts = [_host(host, service, listed, now) for host, service in _hosts(listed)]
    return {"schema": SCHEMA, "computes": [h for h in hosts if not dead or h["state"] != "up"]}


def _read(cloud: Cloud, databases: Databases | None) -> Listed:
    by_database = databases is not None and "nova" in databases.names()
    nodes: dict[str, list[Hypervisor]] = defaultdict(list)
    for hypervisor in cloud.hosts.hypervisors(with_servers=not by_database):
        nodes[hypervisor.host].append(hypervisor)
    servers = Counter({host: sum(n.servers or 0 for n in found) for host, found in nodes.items()})
    seen: dict[tuple[str, str], datetime | None] = {}
    cells: dict[str, str] = {}
    if databases is not None and by_database:
        servers = Counter()
        for row in databases.read("read_server_counts.nova", {}):
            servers[row["host"] or ""] += row["servers"]
        cells = {str(c["uuid"]): str(c["name"] or c["uuid"]) for c in databases.read("read_cells.nova_api", {})}
        rows = databases.read("read_heartbeats.nova", {})
        seen = {(r["host"], r["cell"]): utc(r["seen"]) for r in rows if r["binary"] == "nova-compute"}
    services = [s for s in cloud.compute_services() if s.binary == "nova-compute"]
    return Listed(services, nodes, cloud.placement.providers(), cloud.network.agents(), servers, seen, cells)


def _hosts(listed: Listed) -> list[tuple[str, Service | None]]:
    """Each nova-compute, and each host of which only nodes are left."""
    known = {s.host for s in listed.services}
    return sorted(
        [(s.host, s) for s in listed.services] + [(h, None) for h in listed.nodes if h not in known],
        key=lambda pair: (pair[0], pair[1].uuid or "" if pair[1] else ""),
    )


def _host(host: str, service: Service | None, listed: Listed, now: datetime) -> dict[str, Any]:
    cells = [cell for name, cell in listed.seen if name == host]
    seen = listed.seen[host, cells[0]] if len(cells) == 1 else service.updated_at if service else None
    nodes = listed.nodes.get(host, [])
    own = {n.uuid for n in nodes} | {n.name for n in nodes} | {host}
    down = sorted(a.binary for a in listed.agents if a.host == host and a.state != "up")
    return {
        "host": host,
        "cell": listed.cells.get(cells[0], cells[0]) if len(cells) == 1 else None,
        "state": service.state if service else "missing",
        "status": service.status if service else None,
        "forced_down": service.forced_down if service else None,
        "heartbeat_age": max(0, int((now - seen).total_seconds())) if seen else None,
        "servers": listed.servers[host],
        "nodes": sorted(n.name for n in nodes),
        "providers": sorted(p.uuid for p in listed.providers if {p.uuid, p.name} & own),
        "agents_down": down,
    }
