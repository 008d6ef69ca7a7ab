"""A file's forwardings against those there are: what to add and, where asked, what to remove."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from opsfix.errors import OpsfixError, TargetNotFound
from opsfix.forwarding import naming
from opsfix.forwarding.changes import Batch, Change, Wish, additions, course, removals
from opsfix.forwarding.documents import Line
from opsfix.forwarding.reading import Reader
from opsfix.forwarding.spans import said
from opsfix.resources import FloatingIP, Port, PortForwarding, Span

T = TypeVar("T")


@dataclass(frozen=True)
class Problem:
    """A line of the file that names what cannot be found, or may mean several."""

    line: int
    error: OpsfixError


@dataclass(frozen=True)
class Difference:
    """What a command would change. ``left`` are forwardings of a file's floating IPs that the file has not, and that
    stay; ``asks`` where it removes what nobody named one by one."""

    batch: Batch
    left: int = 0
    asks: bool = False

    def lines(self) -> list[str]:
        """``+`` what is added, ``-`` what is removed, ``=`` what is there already."""
        return sorted(
            (f"{'-' if not c.wanted else '=' if c.there else '+'} {c.name}" for c in self.batch.changes.values()),
            key=lambda line: (line[2:].split()[0], "-+=".index(line[0])),
        )


def wishes(reader: Reader, lines: Sequence[Line]) -> tuple[list[Wish], list[Problem]]:
    """What the lines name, each thing looked up once; raises CloudUnknown."""
    floating_ips = _floating_ips(reader, {line.floating_ip for line in lines})
    ports = reader.ports(line.port for line in lines if line.port)
    servers = reader.many(
        lambda name: _tried(lambda: naming.ports_of(reader.cloud, name)), (line.server for line in lines if not line.port)
    )
    found, problems = [], []
    for line in lines:
        wish = _tried(lambda line=line: _wish(line, floating_ips, ports, servers))  # type: ignore[misc]
        if isinstance(wish, OpsfixError):
            problems.append(Problem(line.number, wish))
        else:
            found.append(wish)
    return found, problems


def _floating_ips(reader: Reader, texts: set[str]) -> dict[str, FloatingIP | OpsfixError]:
    """All that have an unambiguous address are found by a few listings; the rest is asked for one by one."""
    listed = reader.chunked(
        lambda some: reader.network.every_floating_ip(addresses=some), (t for t in texts if naming.is_address(t))
    )
    by_address: dict[str, list[FloatingIP]] = {}
    for found in listed:
        by_address.setdefault(found.address, []).append(found)
    known: dict[str, FloatingIP | OpsfixError] = {a: f[0] for a, f in by_address.items() if len(f) == 1}
    rest = reader.many(lambda text: _tried(lambda: naming.floating_ip(reader.network, text)), texts - known.keys())
    return known | rest


def _tried(do: Callable[[], T]) -> T | OpsfixError:
    try:
        return do()
    except OpsfixError as e:
        return e


def _wish(
    line: Line, floating_ips: dict[str, FloatingIP | OpsfixError], ports: dict[str, Port],
    servers: dict[str, list[Port] | OpsfixError],
) -> Wish:
    floating_ip = _found(floating_ips[line.floating_ip])
    if line.port and line.port not in ports:
        raise TargetNotFound(f"port {line.port} was not found: leave internal_port_id empty to take the server's")
    there = [ports[line.port]] if line.port else _found(servers[line.server])
    port, address = naming.chosen(there, line.port or line.server, line.address or None)
    return Wish(floating_ip, port, PortForwarding(
        "", floating_ip.id, line.protocol, line.external, line.internal, port.id, address, line.description
    ))


def _found(value: T | OpsfixError) -> T:
    if isinstance(value, OpsfixError):
        raise value
    return value


def difference(reader: Reader, wanted: Sequence[Wish], *, prune: bool) -> Difference:
    """What to add to, and with ``prune`` to remove from, the floating IPs that the wishes name."""
    floating_ips = {w.floating_ip.id: w.floating_ip for w in wanted}
    there = reader.forwardings(floating_ips.values())
    named = {course(w.forwarding) for w in wanted}
    extra = {i: [f for f in found if course(f) not in named] for i, found in there.items()}
    gone: list[Change] = []
    if prune:
        gone = [change for i, found in extra.items() for change in removals(floating_ips[i], found)]
    added = additions(reader, wanted, frozenset(c.id for c in gone))
    return Difference(Batch.of([*gone, *added]), 0 if prune else sum(map(len, extra.values())), asks=prune)


def picked(
    there: Sequence[PortForwarding], address: str, protocol: str, externals: Sequence[Span], ids: Sequence[str]
) -> list[PortForwarding]:
    """Those of a floating IP's forwardings that are named, by external ports or by id; raises TargetNotFound for one
    that is not there."""
    found = []
    for external in externals:
        of_port = [f for f in there if (f.protocol, f.external) == (protocol, external)]
        found += _some(of_port, f"{address} does not forward {said(external)}/{protocol}")
    for wanted in ids:
        found += _some([f for f in there if f.id == wanted.lower()], f"{address} has no forwarding {wanted}")
    return found


def _some(found: list[PortForwarding], otherwise: str) -> list[PortForwarding]:
    if not found:
        raise TargetNotFound(f"{otherwise}: 'opsfix forward list' shows those there are")
    return found
