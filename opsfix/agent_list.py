"""Every agent and service of nova, neutron and cinder with what it holds, from a few complete listings."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opsfix.agent_rows import Row, read_rows
from opsfix.agents import BACKEND, COMPUTE
from opsfix.compute_case import utc
from opsfix.errors import CloudRefused
from opsfix.ports import Cloud, Databases

SCHEMA = "opsfix.agent-list/1"
COLUMNS = (
    "service", "binary", "host", "state", "status", "heartbeat_age", "servers", "routers", "networks", "volumes", "id",
)
#: Requests at a time: neutron tells what it has given to an agent only agent by agent.
WORKERS = 8
ROUTERS, NETWORKS = "L3 agent", "DHCP agent"


@dataclass(frozen=True)
class Held:
    """What depends on agents: servers by host, volumes by backend, and what neutron has given to an agent by its id.
    ``seen`` maps (binary, host) to the heartbeat in the database; empty where none is configured."""

    servers: Counter[str]
    volumes: Counter[str]
    served: dict[str, int | None]
    seen: dict[tuple[str, str], datetime | None]


def agents(cloud: Cloud, databases: Databases | None, *, dead: bool) -> dict[str, Any]:
    """The list's JSON; ``dead``: only agents that their service does not call up. Raises CloudUnknown."""
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="opsfix") as pool:
        servers = pool.submit(_servers, cloud, databases)
        volumes = pool.submit(_volumes, cloud, databases)
        rows = [r for r in read_rows(cloud) if not dead or r.state != "up"]
        serving = [r for r in rows if r.type in (ROUTERS, NETWORKS)]
        served = dict(zip((r.id for r in serving), pool.map(lambda r: _serves(cloud, r), serving), strict=True))
        held = Held(servers.result(), volumes.result(), served, _seen(databases))
    now = datetime.now(UTC)
    rows.sort(key=lambda r: (r.service, r.binary, r.host, r.id))
    return {"schema": SCHEMA, "agents": [_shown(row, held, now) for row in rows]}


def _has(databases: Databases | None, name: str) -> bool:
    return databases is not None and name in databases.names()


def _servers(cloud: Cloud, databases: Databases | None) -> Counter[str]:
    counts: Counter[str] = Counter()
    if databases is not None and _has(databases, "nova"):
        for row in databases.read("read_server_counts.nova", {}):
            counts[row["host"] or ""] += row["servers"]
    else:
        for hypervisor in cloud.hosts.hypervisors(with_servers=True):
            counts[hypervisor.host] += hypervisor.servers or 0
    return counts


def _volumes(cloud: Cloud, databases: Databases | None) -> Counter[str]:
    counts: Counter[str] = Counter()
    if databases is not None and _has(databases, "cinder"):
        for row in databases.read("read_volume_counts.cinder", {}):
            counts[(row["host"] or "").split("#", 1)[0]] += row["volumes"]
    else:
        for volume in cloud.volumes():
            counts[volume.backend or ""] += 1
    return counts


def _serves(cloud: Cloud, row: Row) -> int | None:
    """None for one that was removed meanwhile."""
    try:
        return len(cloud.network.routers_of(row.id) if row.type == ROUTERS else cloud.network.networks_of(row.id))
    except CloudRefused as e:
        if e.status != 404:
            raise
        return None


def _seen(databases: Databases | None) -> dict[tuple[str, str], datetime | None]:
    """Heartbeats by the databases, which nothing else moves; not those of a name that two cells have."""
    found: dict[tuple[str, str], list[datetime | None]] = {}
    for name in ("nova", "cinder"):
        if databases is not None and _has(databases, name):
            for row in databases.read(f"read_heartbeats.{name}", {}):
                found.setdefault((row["binary"], row["host"]), []).append(utc(row["seen"]))
    return {key: times[0] for key, times in found.items() if len(times) == 1}


def _shown(row: Row, held: Held, now: datetime) -> dict[str, Any]:
    seen = held.seen.get((row.binary, row.host)) or row.heartbeat
    served = held.served.get(row.id)
    return {
        "id": row.id,
        "service": row.service,
        "binary": row.binary,
        "type": row.type,
        "host": row.host,
        "state": row.state,
        "status": "enabled" if row.enabled else "disabled",
        "forced_down": row.forced_down,
        "heartbeat_age": max(0, int((now - seen).total_seconds())) if seen else None,
        "servers": held.servers[row.host] if row.binary == COMPUTE else None,
        "routers": served if row.type == ROUTERS else None,
        "networks": served if row.type == NETWORKS else None,
        "volumes": held.volumes[row.host] if row.binary == BACKEND else None,
    }
