"""What is wrong with the forwardings there are, each with the command that repairs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

from opsfix.errors import CloudUnknown
from opsfix.forwarding.changes import key, leads_to
from opsfix.forwarding.naming import is_address
from opsfix.forwarding.reading import Reader, Routes
from opsfix.forwarding.spans import collisions, inside, outside, said
from opsfix.ports import Cloud
from opsfix.resources import FloatingIP, Port, PortForwarding, Server


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong. ``forwarding`` is None where it is the floating IP itself."""

    finding: str
    floating_ip: FloatingIP
    forwarding: PortForwarding | None
    reason: str
    command: str

    def as_dict(self) -> dict[str, Any]:
        """The finding in the audit's JSON."""
        f = self.forwarding
        return {
            "finding": self.finding, "floating_ip_address": self.floating_ip.address, "floating_ip_id": self.floating_ip.id,
            "project_id": self.floating_ip.project_id, "id": f.id if f else None, "protocol": f.protocol if f else None,
            "external_port": said(f.external) if f else None, "internal_port_id": f.port_id if f else None,
            "internal_ip_address": f.address if f else None, "internal_port": said(f.internal) if f else None,
            "reason": self.reason, "command": self.command,
        }


@dataclass(frozen=True)
class Scenery:
    """All that an audit reads. ``servers`` has None for those that nova answers 404 for; ``carried`` are the addresses
    that an active port of a network may send as besides its own."""

    floating_ips: Mapping[str, FloatingIP]
    forwardings: tuple[PortForwarding, ...]
    ports: Mapping[str, Port]
    servers: Mapping[str, Server | None]
    own: Mapping[str, str]
    routes: Routes
    carried: frozenset[tuple[str, str]] = frozenset()


def read(reader: Reader) -> Scenery:
    """Read everything around all forwardings. Raises CloudUnknown where something cannot be read: half an audit would
    call the other half healthy."""
    floating_ips = {f.id: f for f in reader.network.every_floating_ip()}
    # neutron answers 500 for the forwardings of one without a router (objects/port_forwarding.py: router_id is not nullable)
    shown = (f for f in floating_ips.values() if f.router_id or not f.target_ids)
    forwardings = tuple(f for found in reader.forwardings(shown).values() for f in found)
    ports = reader.ports(f.port_id for f in forwardings)
    servers = reader.many(reader.cloud.server, (p.device_id for p in ports.values() if _of_server(p)))
    if None in servers.values():
        _require_cells(reader.cloud)
    silent = {p.network_id for p in ports.values() if p.status != "ACTIVE"}
    beside = reader.many(lambda network: list(reader.network.ports(network_id=network)), silent)
    carried = frozenset(
        (network, pair) for network, found in beside.items() for p in found if p.status == "ACTIVE" for pair in p.pairs
    )
    return Scenery(
        floating_ips, forwardings, ports, servers, {f.port_id: f.address for f in floating_ips.values() if f.port_id},
        reader.routes(p.network_id for p in ports.values()), carried,
    )


def _require_cells(cloud: Cloud) -> None:
    if any(s.state == "unknown" for s in cloud.compute_services()):
        raise CloudUnknown("a cell of nova is down, so a server that nova does not show may be there")


def _of_server(port: Port) -> bool:
    return port.device_owner.startswith("compute:") and bool(port.device_id)


def faults(seen: Scenery) -> list[Fault]:
    """Everything that is wrong, floating IP by floating IP."""
    found = [fault for f in seen.forwardings for fault in _faults_of(seen, f)]
    found += [*_clashes(seen), *_of_floating_ips(seen)]
    return sorted(found, key=lambda x: (_numeric(x.floating_ip.address), x.forwarding.external if x.forwarding else (0, 0), x.finding))


def _numeric(address: str) -> tuple[int, ...]:
    return tuple(map(int, address.split("."))) if is_address(address) else ()


def _faults_of(seen: Scenery, f: PortForwarding) -> Iterator[Fault]:
    """What is wrong with one: with its target, the first thing that is; and with the way there."""
    port, floating_ip = seen.ports.get(f.port_id), seen.floating_ips[f.floating_ip_id]
    for finding, check in _TARGET:
        told = check(seen, f, port)
        if told:
            yield Fault(f"forward-{finding}", floating_ip, f, *told)
            break
    if port and f.address in port.addresses and floating_ip.router_id and not floating_ip.port_id:
        routers = seen.routes.leading(port, f.address, floating_ip)
        if floating_ip.router_id not in routers:
            yield Fault("forward-router-unreachable", floating_ip, f, (
                f"router {floating_ip.router_id}, to which the floating IP is bound, does not lead from its network to"
                f" {f.address}"
            ), f"openstack router show {floating_ip.router_id}")


#: Why it is wrong, and the command that repairs it; None where it is in order.
_Told = tuple[str, str] | None


def _remove(seen: Scenery, f: PortForwarding) -> str:
    return f"opsfix forward remove {seen.floating_ips[f.floating_ip_id].address} --id {f.id}"


def _add(seen: Scenery, f: PortForwarding, target: str) -> str:
    protocol = "" if f.protocol == "tcp" else f" --protocol {f.protocol}"
    return (
        f"opsfix forward add {seen.floating_ips[f.floating_ip_id].address} --to {quote(target)}"
        f" --port {said(f.external)}:{said(f.internal)}{protocol}"
    )


def _port_gone(seen: Scenery, f: PortForwarding, port: Port | None) -> _Told:
    return None if port else (f"port {f.port_id} is gone", _remove(seen, f))


def _address_gone(seen: Scenery, f: PortForwarding, port: Port | None) -> _Told:
    if port is None or f.address in port.addresses:
        return None
    left = [a for a in port.addresses if is_address(a)]
    command = _remove(seen, f)
    if len(left) == 1:
        command += f" && {_add(seen, f, f'{port.id}:{left[0]}')}"
    return f"port {port.id} has {', '.join(port.addresses) or 'no address'} and no longer {f.address}", command


def _server_gone(seen: Scenery, f: PortForwarding, port: Port | None) -> _Told:
    if port is None or not _of_server(port) or seen.servers.get(port.device_id):
        return None
    return f"server {port.device_id}, to which port {port.id} belonged, is gone", _remove(seen, f)


def _unattached(seen: Scenery, f: PortForwarding, port: Port | None) -> _Told:
    if port is None or port.device_id or (port.network_id, f.address) in seen.carried:
        return None
    return f"port {port.id} belongs to no server, and no other port carries {f.address}", _remove(seen, f)


def _port_down(seen: Scenery, f: PortForwarding, port: Port | None) -> _Told:
    if port is None or port.status == "ACTIVE" or (port.network_id, f.address) in seen.carried:
        return None
    server = seen.servers.get(port.device_id)
    if not port.enabled:
        return f"port {port.id} is switched off", f"openstack port set --enable {port.id}"
    if server and server.vm_state == "stopped":
        return f"port {port.id} is {port.status}: its server {server.name} is stopped", f"openstack server start {server.id}"
    host = f" --host {port.host}" if port.host else ""
    return f"port {port.id} is {port.status}", f"openstack network agent list{host}"


def _own_address(seen: Scenery, f: PortForwarding, port: Port | None) -> _Told:
    own = seen.own.get(f.port_id)
    if own is None or port is None:
        return None
    return f"port {port.id} has the floating IP {own} of its own besides: neutron allows only one of the two", _remove(seen, f)


_TARGET: tuple[tuple[str, Callable[[Scenery, PortForwarding, Port | None], _Told]], ...] = (
    ("port-gone", _port_gone),
    ("address-gone", _address_gone),
    ("server-gone", _server_gone),
    ("port-unattached", _unattached),
    ("port-down", _port_down),
    ("port-has-floating-ip", _own_address),
)


def _clashes(seen: Scenery) -> Iterator[Fault]:
    for f, other in collisions(seen.forwardings, outside):
        yield Fault("forward-collision", seen.floating_ips[f.floating_ip_id], f, (
            f"it takes external ports that forwarding {other.id} ({said(other.external)} to {leads_to(other)}) has already"
        ), _remove(seen, f))
    for f, other in collisions(seen.forwardings, inside):
        by = key(seen.floating_ips[other.floating_ip_id], other)
        yield Fault("forward-shadowed", seen.floating_ips[f.floating_ip_id], f, (
            f"{leads_to(f)} is reached through {by} (forwarding {other.id}) as well, and answers leave by one of the two"
        ), _remove(seen, f))


def _of_floating_ips(seen: Scenery) -> Iterator[Fault]:
    used = {f.floating_ip_id for f in seen.forwardings} | {i for i, f in seen.floating_ips.items() if f.target_ids}
    for i, floating_ip in seen.floating_ips.items():
        if i in used and floating_ip.port_id:
            yield Fault("forward-floating-ip-in-use", floating_ip, None, (
                f"it forwards ports and belongs to port {floating_ip.port_id} as such: only one of the two can be"
            ), f"openstack floating ip unset --port {i}")
        elif i in used and not floating_ip.router_id:
            yield Fault("forward-without-router", floating_ip, None, (
                "it forwards ports and is bound to no router: nothing arrives, and neutron answers 500 for its forwardings until"
                " its router is set again; see the runbook"
            ), f"openstack floating ip show {i}")
        elif i not in used and floating_ip.router_id and not floating_ip.port_id:
            yield Fault("forward-router-kept", floating_ip, None, (
                f"it forwards nothing and is still bound to router {floating_ip.router_id}, so that it serves no other: giving"
                " it to a port behind that router and taking it back frees it"
            ), f"openstack floating ip set --port PORT {i} && openstack floating ip unset --port {i}")
