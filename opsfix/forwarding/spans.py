"""Ranges of ports: as text, and where they overlap."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable

from opsfix.errors import UsageError
from opsfix.resources import PortForwarding, Span

_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?\Z", re.ASCII)


def span(text: str) -> Span:
    """``60122`` or ``6000-6010``; raises UsageError for anything that is not within 1 to 65535."""
    match = _PORTS.match(text.strip())
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last <= 65535:
        raise UsageError(f"{text!r} is no port and no range of ports: give one as 60122 or 6000-6010, within 1 to 65535")
    return first, last


def pair(text: str) -> tuple[Span, Span]:
    """``EXTERNAL:INTERNAL``, each a port or a range: as many inside as outside, or one inside.

    Raises UsageError.
    """
    external, colon, internal = text.partition(":")
    if not colon:
        raise UsageError(f"{text!r} names no internal port: give EXTERNAL:INTERNAL, as 60122:22 or 6000-6010:7000-7010")
    return matched(span(external), span(internal))


def matched(external: Span, internal: Span) -> tuple[Span, Span]:
    """The two, where neutron can map one to the other; raises UsageError (services/portforwarding: N-N or N-1)."""
    if width(internal) not in (1, width(external)):
        raise UsageError(
            f"{said(external)}:{said(internal)}: {width(external)} external ports cannot lead to {width(internal)} internal"
            " ones: name as many, or one"
        )
    return external, internal


def width(ports: Span) -> int:
    """How many ports."""
    return ports[1] - ports[0] + 1


def said(ports: Span) -> str:
    """As ``span`` reads it."""
    return str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"


def overlap(a: Span, b: Span) -> bool:
    """Whether they have a port in common."""
    return max(a[0], b[0]) <= min(a[1], b[1])


def outside(f: PortForwarding) -> tuple[Hashable, Span]:
    """What a forwarding takes of its floating IP: no other may have it."""
    return (f.floating_ip_id, f.protocol), f.external


def inside(f: PortForwarding) -> tuple[Hashable, Span]:
    """What a forwarding takes of its target: neutron leads to it from one place only, whatever the floating IP."""
    return (f.port_id, f.address, f.protocol), f.internal


def collisions(
    forwardings: Iterable[PortForwarding], side: Callable[[PortForwarding], tuple[Hashable, Span]]
) -> list[tuple[PortForwarding, PortForwarding]]:
    """Each forwarding that overlaps one before it, with that one; n log n."""
    places: defaultdict[Hashable, list[tuple[Span, PortForwarding]]] = defaultdict(list)
    for forwarding in forwardings:
        place, ports = side(forwarding)
        places[place].append((ports, forwarding))
    found = []
    for taken in places.values():
        taken.sort(key=lambda each: each[0])
        widest = taken[0]
        for each in taken[1:]:
            if each[0][0] <= widest[0][1]:
                found.append((each[1], widest[1]))
            widest = max(widest, each, key=lambda other: other[0][1])
    return found
