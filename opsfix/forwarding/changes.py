"""Forwardings that shall be there, or not: what stands in the way as facts, guards that judge it, the calls."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from opsfix.errors import GuardError
from opsfix.forwarding.reading import Reader
from opsfix.forwarding.spans import collisions, inside, outside, overlap, said, width
from opsfix.guards import Facts, is_
from opsfix.ports import Cloud, Network
from opsfix.repair import Repair
from opsfix.resources import FloatingIP, Port, PortForwarding, Span
from opsfix.scene import Scene
from opsfix.steps import Call, Course, Step
from opsfix.subject import Look

#: neutron's extension, Zed and newer.
RANGES = "floating-ip-port-forwarding-port-ranges"
KIND = "port_forwarding"


def key(floating_ip: FloatingIP, forwarding: PortForwarding) -> str:
    """``198.51.100.7:60122/tcp``: what a forwarding is called by those who use it."""
    return f"{floating_ip.address}:{said(forwarding.external)}/{forwarding.protocol}"


def leads_to(forwarding: PortForwarding) -> str:
    """``10.0.0.7:22``."""
    return f"{forwarding.address}:{said(forwarding.internal)}"


def course(forwarding: PortForwarding) -> Hashable:
    """From where to where it leads: two forwardings with the same one are the same, whatever their ids and descriptions."""
    return outside(forwarding), inside(forwarding)


def same(a: PortForwarding, b: PortForwarding) -> bool:
    """Whether both lead the same ports to the same place."""
    return course(a) == course(b)


@dataclass(frozen=True)
class Change:
    """A forwarding that is ``wanted`` or not, as it is now (``there``), and the facts that its guards judge."""

    floating_ip: FloatingIP
    forwarding: PortForwarding
    wanted: bool
    there: PortForwarding | None = None
    surroundings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """What the report calls it: the forwarding's id where it has one, else its key."""
        return self.forwarding.id if not self.wanted else key(self.floating_ip, self.forwarding)

    @property
    def name(self) -> str:
        """``198.51.100.7:60122/tcp to 10.0.0.7:22``."""
        return f"{key(self.floating_ip, self.forwarding)} to {leads_to(self.forwarding)}"

    def facts(self, found: PortForwarding | None) -> dict[str, Any]:
        """The change as facts, given what is there now."""
        f = self.forwarding
        return {
            f"{KIND}.idle": True, f"{KIND}.wanted": self.wanted, f"{KIND}.present": found is not None,
            f"{KIND}.change": self.id, f"{KIND}.id": found.id if found else None, f"{KIND}.protocol": f.protocol,
            f"{KIND}.external": said(f.external), f"{KIND}.internal": said(f.internal), f"{KIND}.address": f.address,
            "port.id": f.port_id, "floating_ip.id": self.floating_ip.id, "floating_ip.address": self.floating_ip.address,
            "floating_ip.port": self.floating_ip.port_id, "floating_ip.router": self.floating_ip.router_id,
        } | dict(self.surroundings)


@dataclass
class Batch:
    """The changes of one command by their ids. ``sent`` are those that neutron was asked for, so that what was read
    before is past."""

    changes: dict[str, Change]
    sent: set[str] = field(default_factory=set)
    lanes: dict[str, threading.Lock] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lanes = {c.floating_ip.id: threading.Lock() for c in self.changes.values()}

    @classmethod
    def of(cls, changes: Iterable[Change]) -> Batch:
        """The same change twice counts once. Raises GuardError for one external port to two places."""
        found: dict[str, Change] = {}
        for change in changes:
            other = found.setdefault(change.id, change)
            if not same(other.forwarding, change.forwarding):
                raise GuardError(f"{change.name} collides with {other.name} of the same command: keep one of the two")
        return cls(found)

    def ids(self, *, wanted: bool) -> list[str]:
        """Those that are wanted, or those that are not, floating IPs by turns: each has one removal at a time."""
        turns: dict[str, int] = {}
        ranked = []
        for change in self.changes.values():
            if change.wanted is wanted:
                turn = turns[change.floating_ip.id] = turns.get(change.floating_ip.id, 0) + 1
                ranked.append((turn, change.id))
        return [subject_id for _, subject_id in sorted(ranked, key=lambda each: each[0])]


def removals(floating_ip: FloatingIP, forwardings: Iterable[PortForwarding]) -> list[Change]:
    """Forwardings that shall go."""
    return [Change(floating_ip, f, wanted=False, there=f) for f in forwardings]


@dataclass(frozen=True)
class Wish:
    """A forwarding that shall be there, the floating IP and the port that it names."""

    floating_ip: FloatingIP
    port: Port
    forwarding: PortForwarding


def additions(reader: Reader, wishes: Iterable[Wish], leaving: frozenset[str] = frozenset()) -> list[Change]:
    """Forwardings that shall come, each with all that could stand in its way.

    ``leaving`` are ids of forwardings that go before. Raises CloudUnknown.
    """
    wanted = list({course(w.forwarding): w for w in wishes}.values())
    around = _Around(reader, wanted, leaving)
    clashing = {
        other[0].id: other[1] for side in (outside, inside)
        for other in collisions([_numbered(n, w) for n, w in enumerate(wanted)], side)
    }
    return [
        Change(w.floating_ip, w.forwarding, wanted=True, there=around.there(w), surroundings=around.facts(w) | {
            "batch.collides_with": _said_of(wanted, clashing.get(str(n)))
        })
        for n, w in enumerate(wanted)
    ]


def _numbered(n: int, wish: Wish) -> PortForwarding:
    return PortForwarding(**(asdict(wish.forwarding) | {"id": str(n)}))


def _said_of(wanted: list[Wish], clash: PortForwarding | None) -> str | None:
    if clash is None:
        return None
    other = wanted[int(clash.id)]
    return f"{key(other.floating_ip, other.forwarding)} to {leads_to(other.forwarding)}"


class _Around:
    """All that neutron has around a batch of wishes."""

    def __init__(self, reader: Reader, wanted: list[Wish], leaving: frozenset[str]):
        ports = {w.port.id: w.port for w in wanted}
        self.ranges = RANGES in reader.network.extensions()
        self.own = reader.own_addresses(ports)
        self.routes = reader.routes(p.network_id for p in ports.values())
        asked = {w.floating_ip.id: w.floating_ip for w in wanted}
        routers = {r for w in wanted for r in self.routes.leading(w.port, w.forwarding.address, w.floating_ip)}
        behind = reader.many(lambda r: list(reader.network.every_floating_ip(router_id=r)), routers)
        for found in behind.values():
            asked |= {f.id: f for f in found if f.target_ids is None or set(f.target_ids) & ports.keys()}
        self.addresses = {i: f.address for i, f in asked.items()}
        taken = [f for listed in reader.forwardings(asked.values()).values() for f in listed if f.id not in leaving]
        self.courses = {course(f): f for f in taken}
        self.places: defaultdict[Hashable, list[tuple[Span, PortForwarding]]] = defaultdict(list)
        for side, f in itertools.product((outside, inside), taken):
            place, ports_there = side(f)
            self.places[place].append((ports_there, f))

    def there(self, wish: Wish) -> PortForwarding | None:
        """What is there already, exactly as it is wished."""
        return self.courses.get(course(wish.forwarding))

    def facts(self, wish: Wish) -> dict[str, Any]:
        """What could stand in the way of one."""
        f, port = wish.forwarding, wish.port
        routers = self.routes.leading(port, f.address, wish.floating_ip)
        bound = wish.floating_ip.router_id
        out, inner = (self._taken(f, side) for side in (outside, inside))
        return {
            "port.has_address": f.address in port.addresses, "port.addresses": ", ".join(port.addresses) or "none",
            "port.own_address": self.own.get(port.id), "port.routed": bool(routers), "port.routers": ", ".join(routers),
            "port.network": port.network_id, "floating_ip.network": wish.floating_ip.network_id,
            "floating_ip.leads_there": bound is None or bound in routers,
            "ranges.allowed": self.ranges or width(f.external) == 1,
            "outside.taken_by": out and f"{out.id}, which leads to {leads_to(out)}", "outside.id": out and out.id,
            "inside.taken_by": inner and f"{self.addresses[inner.floating_ip_id]}:{said(inner.external)}/{inner.protocol}",
            "inside.floating_ip": inner and self.addresses[inner.floating_ip_id], "inside.id": inner and inner.id,
        }

    def _taken(self, wish: PortForwarding, side: Any) -> PortForwarding | None:
        place, ports = side(wish)
        return next((f for taken, f in self.places.get(place, ()) if overlap(taken, ports) and not same(f, wish)), None)


@dataclass(frozen=True)
class Forwardings:
    """The engine's subject: the forwardings of a batch, looked at in neutron once one was asked for."""

    batch: Batch
    type: str = KIND

    def look(self, scene: Scene, subject_id: str) -> Look | None:
        """See subject.Subject."""
        change = self.batch.changes[subject_id]
        found = self._now(scene.cloud.network, change) if subject_id in self.batch.sent else change.there
        if found is None and not change.wanted:
            return None
        where = f"to {leads_to(change.forwarding)}"
        return Look(
            subject_id, change.name, change.floating_ip.project_id, change.facts(found),
            state=f"it leads {where}" if found else "it is not there", healthy=f"it leads {where} already",
        )

    @staticmethod
    def _now(network: Network, change: Change) -> PortForwarding | None:
        wanted = change.forwarding
        listed = network.forwardings(change.floating_ip.id, protocol=wanted.protocol, external=wanted.external)
        return next((f for f in listed if (same(f, wanted) if change.wanted else f.id == wanted.id)), None)

    def named(self, _: Scene, name: str) -> list[tuple[str, str]]:
        """See subject.Subject."""
        return [(name, c.floating_ip.project_id) for c in [self.batch.changes.get(name)] if c]

    def gone(self, subject_id: str) -> Mapping[str, Any]:
        """See subject.Subject."""
        return self.batch.changes[subject_id].facts(None)


def fields(forwarding: PortForwarding) -> dict[str, Any]:
    """All that makes a forwarding again, as a journal keeps it."""
    return asdict(forwarding)


@dataclass(frozen=True)
class CreateForwarding(Step):
    """``POST /floatingips/ID/port_forwardings``."""

    batch: Batch

    def calls(self, facts: Facts) -> Iterator[Call]:
        """See steps.Step."""
        change = self.batch.changes[facts[f"{KIND}.change"]]

        def create(cloud: Cloud, course: Course) -> None:
            self.batch.sent.add(change.id)
            course.made[KIND] = cloud.network.create_forwarding(change.forwarding)

        yield Call(
            f"neutron: forward {change.name} of port {change.forwarding.port_id}", create,
            {"delete_port_forwarding": fields(change.forwarding)},
        )


@dataclass(frozen=True)
class DeleteForwarding(Step):
    """``DELETE /floatingips/ID/port_forwardings/ID``, one at a time on a floating IP.

    Two at once each see the other's forwarding as the last (pf_plugin.delete_floatingip_port_forwarding), and the
    floating IP stays bound to its router for good.
    """

    batch: Batch

    def calls(self, facts: Facts) -> Iterator[Call]:
        """See steps.Step."""
        change = self.batch.changes[facts[f"{KIND}.change"]]

        def delete(cloud: Cloud, _: Course) -> None:
            with self.batch.lanes[change.floating_ip.id]:
                self.batch.sent.add(change.id)
                cloud.network.delete_forwarding(change.floating_ip.id, change.forwarding.id)

        yield Call(
            f"neutron: remove forwarding {change.id}, {change.name}", delete,
            {"create_port_forwarding": fields(change.forwarding)},
        )


#: What must hold before a forwarding is made: neutron's own rules (services/portforwarding/pf_plugin.py), told before
#: anything is sent.
ADD_IF = (
    is_("batch.collides_with", None, "it collides with {batch_collides_with} of the same command: keep one of the two"),
    is_("ranges.allowed", True,
        f"this neutron forwards single ports only (it has no extension {RANGES}, which Zed brought): name the ports one by one"),
    is_("floating_ip.port", None,
        "the floating IP is in use as such, by port {floating_ip_port}: choose another, or free it with"
        " 'openstack floating ip unset --port {floating_ip_id}'"),
    is_("port.has_address", True,
        "{port_forwarding_address} is not an address of port {port_id}, which has {port_addresses}: name one of these"),
    is_("port.own_address", None,
        "port {port_id} has the floating IP {port_own_address} of its own: reach it there, or free that one first with"
        " 'openstack floating ip unset --port {port_own_address}'"),
    is_("port.routed", True,
        "no router leads from the floating IP's network {floating_ip_network} to the subnet of {port_forwarding_address}:"
        " add one with 'openstack router add subnet', or choose a floating IP of another network"),
    is_("floating_ip.leads_there", True,
        "the floating IP is bound to router {floating_ip_router}, which does not reach port {port_id}: choose a floating IP"
        " that is free or behind router {port_routers}"),
    is_("outside.taken_by", None,
        "the external port is taken by forwarding {outside_taken_by}: choose another, or remove it first with"
        " 'opsfix forward remove {floating_ip_address} --id {outside_id}'"),
    is_("inside.taken_by", None,
        "{port_forwarding_address}:{port_forwarding_internal} is reached through {inside_taken_by} already, and neutron"
        " leads there from one place only: use that, or remove it first with"
        " 'opsfix forward remove {inside_floating_ip} --id {inside_id}'"),
)


def repairs(batch: Batch) -> tuple[Repair, ...]:
    """What brings a forwarding to be as it is wanted."""
    present, wanted = f"{KIND}.present", f"{KIND}.wanted"
    return (
        Repair(
            symptom="forward-missing", means="the floating IP does not forward it yet",
            when=(is_(wanted, True), is_(present, False)), only_if=ADD_IF, api=(CreateForwarding(batch),),
            fixed_when=(is_(present, True),),
        ),
        Repair(
            symptom="forward-unwanted", means="the floating IP forwards it still",
            when=(is_(wanted, False), is_(present, True)), api=(DeleteForwarding(batch),),
            fixed_when=(is_(present, False),),
        ),
    )
