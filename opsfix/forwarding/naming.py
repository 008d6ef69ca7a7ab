"""Floating IPs, servers and ports by the words of an operator: an address, a name, an id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address

from opsfix.errors import GuardError, TargetNotFound, UsageError
from opsfix.ports import Cloud, Network
from opsfix.resources import FloatingIP, Port

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)


def is_address(text: str) -> bool:
    """Whether it is an IPv4 address: floating IPs forward no other."""
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def floating_ip(network: Network, text: str) -> FloatingIP:
    """The floating IP with this address or id.

    Raises TargetNotFound, and UsageError where two external networks have the address.
    """
    if _ID.match(text):
        found = network.floating_ip(text.lower())
        return _one([found] if found else [], text)
    return _one(list(network.every_floating_ip(addresses=[text])) if is_address(text) else [], text)


def _one(found: Sequence[FloatingIP], text: str) -> FloatingIP:
    if not found:
        raise TargetNotFound(f"floating IP {text!r} was not found: 'opsfix forward fips' lists those there are")
    if len(found) > 1:
        listed = ", ".join(f"{f.id} (network {f.network_id})" for f in found)
        raise UsageError(f"{len(found)} floating IPs have the address {text}: {listed}: name one by its id")
    return found[0]


def target(cloud: Cloud, text: str) -> tuple[Port, str]:
    """The port and its address that ``SERVER|PORT[:INTERNAL_IP]`` means.

    Raises TargetNotFound; UsageError where it may mean several; GuardError where no port can be meant.
    """
    head, colon, tail = text.rpartition(":")
    name, address = (head, tail) if colon and is_address(tail) else (text, None)
    if not name:
        raise UsageError(f"{text!r} names no server and no port")
    return chosen(ports_of(cloud, name), name, address)


def ports_of(cloud: Cloud, name: str) -> list[Port]:
    """The port that this names, or all of the server that it names, by id or exact name.

    Raises TargetNotFound, and UsageError where several are called so.
    """
    if _ID.match(name):
        port = cloud.network.port(name.lower())
        if port:
            return [port]
        server = cloud.server(name.lower())
        servers, ports = [server] if server else [], []
    else:
        servers, ports = list(cloud.servers(name=name)), list(cloud.network.ports(name=name))
    candidates = [f"server {s.id} (project {s.project_id})" for s in servers]
    candidates += [f"port {p.id} (project {p.project_id})" for p in ports]
    if not candidates:
        raise TargetNotFound(f"no server and no port {name!r} was found")
    if len(candidates) > 1:
        raise UsageError(f"{len(candidates)} are called {name!r}: {', '.join(candidates[:10])}: name one by its id")
    return ports or list(cloud.network.ports(device_id=servers[0].id))


def chosen(ports: Sequence[Port], name: str, address: str | None) -> tuple[Port, str]:
    """The one port and address among those of a server or a port.

    Raises UsageError where several could be meant, GuardError where none can. An address that an only port has not is
    given back: it is a guard that refuses it.
    """
    there = [(p, a) for p in ports for a in p.addresses if is_address(a)]
    fitting = [each for each in there if address in (None, each[1])]
    if len(fitting) == 1:
        return fitting[0]
    if address and not fitting and len(ports) == 1:
        return ports[0], address
    if not fitting:
        has = f"has {_listed(there)}" if there else "has no IPv4 address"
        raise GuardError(f"{name!r} {has}{f', and not {address}' if address else ''}: nothing can be forwarded to it")
    if address:
        raise UsageError(f"{name!r} has {address} on several ports: {_listed(fitting)}: name the port instead")
    raise UsageError(f"{name!r} has several addresses: {_listed(fitting)}: add the one that is meant, as {name}:{fitting[0][1]}")


def _listed(there: Iterable[tuple[Port, str]]) -> str:
    return ", ".join(f"{address} (port {port.id})" for port, address in there)
