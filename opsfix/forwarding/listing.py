"""Floating IPs, the ports that can be forwarded to, and forwardings, as rows to show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opsfix.forwarding.naming import is_address
from opsfix.forwarding.reading import Reader
from opsfix.forwarding.spans import said
from opsfix.resources import FloatingIP, Port

#: As many servers are asked for one by one.
FEW = 50
FLOATING_IPS = ("floating_ip_address", "use", "forwardings", "router_id", "project_id", "id")
PORTS = ("server_name", "internal_ip_address", "status", "floating_ip_address", "forwardings", "server_id", "id")
FORWARDINGS = (
    "floating_ip_address", "protocol", "external_port", "internal_ip_address", "internal_port", "server_name",
    "internal_port_id", "id",
)


def floating_ips(reader: Reader) -> list[dict[str, Any]]:
    """Every floating IP and what it is used for. Raises CloudUnknown."""
    found = list(reader.network.every_floating_ip())
    forwardings = reader.forwardings(f for f in found if f.target_ids is None)
    counts = {f.id: len(forwardings[f.id]) if f.target_ids is None else len(f.target_ids) for f in found}
    return [
        {
            "floating_ip_address": f.address, "use": _use(f, counts[f.id]), "forwardings": counts[f.id], "port_id": f.port_id,
            "router_id": f.router_id, "network_id": f.network_id, "project_id": f.project_id, "status": f.status, "id": f.id,
        }
        for f in sorted(found, key=_place)
    ]


def _use(floating_ip: FloatingIP, count: int) -> str:
    if floating_ip.port_id:
        return f"port {floating_ip.port_id}"
    return "forwards" if count else "free"


def _place(floating_ip: FloatingIP) -> tuple[int, ...]:
    return tuple(map(int, floating_ip.address.split("."))) if is_address(floating_ip.address) else ()


def ports(reader: Reader, found: Iterable[Port]) -> list[dict[str, Any]]:
    """A row for each IPv4 address that can be forwarded to, with how it is reached already. Raises CloudUnknown."""
    taken = list(found)
    known = list(reader.network.every_floating_ip())
    own = {f.port_id: f.address for f in known if f.port_id}
    reached = [port_id for f in known for port_id in f.target_ids or ()]
    names = _servers(reader, taken)
    return [
        {
            "server_name": names.get(p.device_id, ""), "server_id": p.device_id or None, "name": p.name,
            "internal_ip_address": address, "status": p.status, "network_id": p.network_id, "project_id": p.project_id,
            "floating_ip_address": own.get(p.id), "forwardings": reached.count(p.id), "id": p.id,
        }
        for p in sorted(taken, key=lambda p: (names.get(p.device_id, ""), p.id)) for address in p.addresses if is_address(address)
    ]


def of_servers(reader: Reader) -> list[Port]:
    """The ports of every server. neutron filters owners exactly, and theirs name zones."""
    return [p for p in reader.network.ports() if p.device_owner.startswith("compute:")]


def _servers(reader: Reader, found: Iterable[Port]) -> dict[str, str]:
    """Id -> name of the servers that these ports belong to: one by one where they are few, else by a listing of all."""
    ids = {p.device_id for p in found if p.device_id and p.device_owner.startswith("compute:")}
    if len(ids) > FEW:
        return {s.id: s.name for s in reader.cloud.servers() if s.id in ids}
    return {i: s.name for i, s in reader.many(reader.cloud.server, ids).items() if s}


def forwardings(reader: Reader, of: Iterable[FloatingIP]) -> list[dict[str, Any]]:
    """Every forwarding of these floating IPs, with the server that it leads to. Raises CloudUnknown."""
    by_id = {f.id: f for f in of}
    found = [f for listed in reader.forwardings(by_id.values()).values() for f in listed]
    targets = reader.ports(f.port_id for f in found)
    names = _servers(reader, targets.values())
    rows = []
    for f in sorted(found, key=lambda f: (_place(by_id[f.floating_ip_id]), f.protocol, f.external)):
        owner = targets[f.port_id].device_id if f.port_id in targets else ""
        rows.append({
            "floating_ip_address": by_id[f.floating_ip_id].address, "protocol": f.protocol, "external_port": said(f.external),
            "internal_ip_address": f.address, "internal_port": said(f.internal), "server_name": names.get(owner),
            "server_id": owner or None, "internal_port_id": f.port_id, "floating_ip_id": f.floating_ip_id,
            "project_id": by_id[f.floating_ip_id].project_id, "description": f.description, "id": f.id,
        })
    return rows
