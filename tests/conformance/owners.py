"""What glance, placement and neutron do with what a purge removes, case by case; run as those of ``cases`` are."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from opsfix.ports import Images, Network, Placement
from opsfix.resources import Port
from tests.conformance.cases import Case
from tests.conformance.sides import answer
from tests.fakes.glance import ImageCloud
from tests.fakes.hosts import HostCloud
from tests.fakes.owners import PortRows

NOBODY = "5f0b1c1e-0000-4000-8000-000000000001"
ROUTERS = "network:router_interface"


class OwnerSide(Protocol):
    """Builds states through the services' own calls."""

    images: Images
    placement: Placement
    network: Network

    def image(self, *, data: bool = True, protected: bool = False) -> str:
        """A new private image, active where it has data."""

    def provider(self, parent: str | None = None) -> str:
        """A new provider with 8 VCPU, whose name is that of no other."""

    def allocate(self, consumer: str, provider: str) -> None:
        """Give a server 2 VCPU of a provider."""

    def port(self, device: str) -> str:
        """A new port of a server, not bound to any host."""

    def router_port(self) -> str:
        """The port of a new router in a new subnet."""


OWNERS: list[Case] = []


def case(name: str, expected: object) -> Callable[[Callable[[OwnerSide], object]], Callable[[OwnerSide], object]]:
    """Register a case."""

    def register(observe: Callable[[OwnerSide], object]) -> Callable[[OwnerSide], object]:
        OWNERS.append(Case(name, observe, expected))  # type: ignore[arg-type]
        return observe

    return register


# glance


def _shown(side: OwnerSide, image: str) -> object:
    found = side.images.image(image)
    return found and (found.status, found.protected)


@case("delete an active image", (("active", False), "ok", None, 404))
def _(side: OwnerSide) -> object:
    image = side.image()
    before = _shown(side, image)
    told = answer(lambda: side.images.delete_image(image))
    return before, told, _shown(side, image), answer(lambda: side.images.delete_image(image))


@case("delete an image that never had data", (("queued", False), "ok", None))
def _(side: OwnerSide) -> object:
    image = side.image(data=False)
    return _shown(side, image), answer(lambda: side.images.delete_image(image)), _shown(side, image)


@case("delete a protected image", (403, ("active", True), "ok", ("active", False), "ok", None))
def _(side: OwnerSide) -> object:
    image = side.image(protected=True)
    refused = answer(lambda: side.images.delete_image(image)), _shown(side, image)
    freed = answer(lambda: side.images.protect(image, protected=False)), _shown(side, image)
    return *refused, *freed, answer(lambda: side.images.delete_image(image)), _shown(side, image)


@case("calls for an image that does not exist", (None, 404, 404))
def _(side: OwnerSide) -> object:
    return (
        side.images.image(NOBODY),
        answer(lambda: side.images.delete_image(NOBODY)),
        answer(lambda: side.images.protect(NOBODY, protected=True)),
    )


@case("list images by name", ([True], []))
def _(side: OwnerSide) -> object:
    image = side.image()
    found = side.images.image(image)
    assert found is not None
    listed = [i.id == image for i in side.images.images(name=found.name)]
    side.images.delete_image(image)
    return listed, [i.id for i in side.images.images(name=found.name)]


# placement


def _providers(side: OwnerSide, member: str) -> int:
    return len(side.placement.providers(tree=member))


def _generation(side: OwnerSide, provider: str) -> int:
    [found] = [p for p in side.placement.providers(tree=provider) if p.uuid == provider]
    return found.generation


@case("a consumer's allocation", (None, ({"VCPU": 2}, 1, "INSTANCE"), {"VCPU": 2}, True, {"VCPU": 2}))
def _(side: OwnerSide) -> object:
    provider, consumer = side.provider(), str(uuid.uuid4())
    before = side.placement.allocation(consumer)
    side.allocate(consumer, provider)
    held = side.placement.allocation(consumer)
    assert held is not None
    consumers = side.placement.consumers(provider)
    told = held.resources[provider], held.generation, held.type
    return before, told, consumers[consumer], set(consumers) == {consumer}, side.placement.usages(provider)


@case("take a consumer's allocation away", ("ok", None, {}, [0], 404))
def _(side: OwnerSide) -> object:
    provider, consumer = side.provider(), str(uuid.uuid4())
    side.allocate(consumer, provider)
    told = answer(lambda: side.placement.delete_allocation(consumer))
    used = sorted({*side.placement.usages(provider).values(), 0})
    left = side.placement.allocation(consumer), side.placement.consumers(provider), used
    return told, *left, answer(lambda: side.placement.delete_allocation(consumer))


@case("a provider's generation rises with what is allocated from it", True)
def _(side: OwnerSide) -> object:
    provider = side.provider()
    before = _generation(side, provider)
    side.allocate(str(uuid.uuid4()), provider)
    return _generation(side, provider) > before


@case("delete a provider in use", (409, 1, "ok", "ok", 0))
def _(side: OwnerSide) -> object:
    provider, consumer = side.provider(), str(uuid.uuid4())
    side.allocate(consumer, provider)
    refused = answer(lambda: side.placement.delete_provider(provider)), _providers(side, provider)
    freed = answer(lambda: side.placement.delete_allocation(consumer))
    return *refused, freed, answer(lambda: side.placement.delete_provider(provider)), _providers(side, provider)


@case("delete a provider with a child", (409, 2, "ok", "ok", 0))
def _(side: OwnerSide) -> object:
    root = side.provider()
    child = side.provider(root)
    refused = answer(lambda: side.placement.delete_provider(root)), _providers(side, child)
    children_first = [answer(lambda p=p: side.placement.delete_provider(p)) for p in (child, root)]  # type: ignore[misc]
    return *refused, *children_first, _providers(side, root)


@case("delete a provider that does not exist", (404, []))
def _(side: OwnerSide) -> object:
    return answer(lambda: side.placement.delete_provider(NOBODY)), side.placement.providers(tree=NOBODY)


@case("a provider is found by its name in any case", ([True], [True]))
def _(side: OwnerSide) -> object:
    provider = side.provider()
    [made] = side.placement.providers(tree=provider)
    return tuple([p.uuid == provider for p in side.placement.providers(name=n)] for n in (made.name, made.name.upper()))


# neutron


def _port(side: OwnerSide, port: str) -> object:
    found = side.network.port(port)
    return found and (found.device_id, found.device_owner, found.host)


def _of(side: OwnerSide, device: str) -> int:
    return len(list(side.network.ports(device_id=device)))


@case("unbind a port", (1, "ok", ("", "", None), 0))
def _(side: OwnerSide) -> object:
    device = str(uuid.uuid4())
    port = side.port(device)
    return _of(side, device), answer(lambda: side.network.unbind_port(port)), _port(side, port), _of(side, device)


@case("delete a server's port", ("ok", None, 0, 404, 404))
def _(side: OwnerSide) -> object:
    device = str(uuid.uuid4())
    port = side.port(device)
    told = answer(lambda: side.network.delete_port(port)), _port(side, port), _of(side, device)
    return *told, answer(lambda: side.network.delete_port(port)), answer(lambda: side.network.unbind_port(port))


@case("delete a router's port", (409, ROUTERS))
def _(side: OwnerSide) -> object:
    port = side.router_port()
    told = answer(lambda: side.network.delete_port(port))
    found = side.network.port(port)
    return told, found and found.device_owner


@dataclass
class FakePorts(PortRows):
    """neutron's ports."""

    listed: dict[str, Port] = field(default_factory=dict)


class FakeOwnerSide:
    """The fakes."""

    def __init__(self) -> None:
        self._glance, self.placement, self.network = ImageCloud(), HostCloud(), FakePorts()
        self.images = self._glance.images

    def image(self, *, data: bool = True, protected: bool = False) -> str:
        """See OwnerSide."""
        return self._glance.add_image(status="active" if data else "queued", protected=protected, name="conformance")

    def provider(self, parent: str | None = None) -> str:
        """See OwnerSide."""
        made = str(uuid.uuid4())
        self.placement.add_provider(made, f"conformance-{made}", parent)
        return made

    def allocate(self, consumer: str, provider: str) -> None:
        """See OwnerSide."""
        self.placement.allocate(consumer, provider, VCPU=2)

    def _add_port(self, device: str, owner: str) -> str:
        made = str(uuid.uuid4())
        self.network.listed[made] = Port(made, "", "project", device, owner, "network", "DOWN")
        return made

    def port(self, device: str) -> str:
        """See OwnerSide."""
        return self._add_port(device, "compute:nova")

    def router_port(self) -> str:
        """See OwnerSide."""
        return self._add_port("router", ROUTERS)
