"""What the fake cloud is built on, seen on real services: the same cases through the same calls."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from opsfix.gateways.cloud import OpenStackCloud
from tests.conformance.cases import CASES, Case
from tests.conformance.owners import OWNERS
from tests.conformance.sides import PATIENCE, until
from tests.functional.cloud import Lab

CONNECTOR = {
    "host": "nowhere", "initiator": "iqn.2026-11.example:nowhere", "ip": "192.0.2.1", "multipath": False,
    "platform": "x86_64", "os_type": "linux",
}


class LabSide:
    """Builds states through openstacksdk; removes what it made."""

    def __init__(self, lab: Lab, cloud: OpenStackCloud) -> None:
        self.api, self.cloud = lab.api, cloud
        self._volumes: list[str] = []
        self._servers: list[str] = []
        self._names = itertools.count()

    def volume(self, *, multiattach: bool = False) -> str:
        """See Side."""
        kind = {"volume_type": self._multiattach_type()} if multiattach else {}
        volume = self.api.block_storage.create_volume(name=f"conformance-{next(self._names)}", size=1, **kind)
        self._volumes.append(volume.id)
        until(lambda: self.api.block_storage.get_volume(volume.id).status == "available")
        return str(volume.id)

    def _multiattach_type(self) -> str:
        name = "conformance-multiattach"
        if not self.api.block_storage.find_type(name):
            self.api.block_storage.create_type(name=name, extra_specs={"multiattach": "<is> True"})
        return name

    def server(self) -> str:
        """See Side."""
        server = self.api.compute.create_server(
            name=f"conformance-{next(self._names)}", image_id=next(self.api.image.images(status="active")).id,
            flavor_id=next(iter(self.api.compute.flavors())).id, networks="none",
        )
        self._servers.append(server.id)
        until(lambda: self.api.compute.get_server(server.id).status == "ACTIVE")
        return str(server.id)

    def attach(self, volume: str, server: str) -> str:
        """See Side."""
        self.api.compute.create_volume_attachment(server, volume_id=volume)
        until(lambda: self.api.block_storage.get_volume(volume).status == "in-use")
        return next(a.id for a in self.cloud.attachments(volume_id=volume))

    def connect(self, attachment: str) -> None:
        """See Side."""
        self.api.block_storage.update_attachment(attachment, connector=CONNECTOR)

    def reset(self, volume: str, status: str | None = None, attach_status: str | None = None) -> None:
        """See Side. Through the gateway, which translates the refusals."""
        self.cloud.reset_volume(volume, status, attach_status)  # type: ignore[arg-type]

    def reset_server(self, server: str, state: str) -> None:
        """See Side."""
        self.api.compute.reset_server_state(server, state)

    def delete_server(self, server: str) -> None:
        """See Side."""
        self.api.compute.delete_server(server)
        until(lambda: self.cloud.server(server) is None)

    def stranger(self) -> str:
        """See Side."""
        return "5f0b1c1e-0000-4000-8000-000000000000"

    def clean_up(self) -> None:
        """Remove what was made, whatever it became."""
        for server in self._servers:
            self.api.compute.delete_server(server, ignore_missing=True)
        until(lambda: all(self.cloud.server(s) is None for s in self._servers))
        for volume in filter(self.cloud.volume, self._volumes):
            self.api.block_storage.reset_volume_status(volume, "error", "detached", None)
            self.api.block_storage.delete_volume(volume, force=True)
        until(lambda: all(self.cloud.volume(v) is None for v in self._volumes))


class LabOwnerSide:
    """Builds the states of images, providers and ports through the services' APIs; removes what it made."""

    def __init__(self, lab: Lab, cloud: OpenStackCloud) -> None:
        self.api = lab.api
        self.images, self.placement, self.network = cloud.images, cloud.placement, cloud.network
        self._made: list[Callable[[], object]] = []

    def _sent(self, answer: Any) -> Any:
        assert answer.status_code < 300, answer.text
        return answer

    def image(self, *, data: bool = True, protected: bool = False) -> str:
        """See OwnerSide."""
        body = {"name": f"conformance-{uuid.uuid4()}", "disk_format": "raw", "container_format": "bare", "protected": protected}
        made = str(self._sent(self.api.image.post("/images", json=body)).json()["id"])
        self._made.append(lambda: self.images.image(made) and self.images.delete_image(made))
        if protected:
            self._made.append(lambda: self.images.image(made) and self.images.protect(made, protected=False))
        if data:
            self._sent(self.api.image.put(f"/images/{made}/file", data=b"data", headers={"Content-Type": "application/octet-stream"}))
        return made

    def provider(self, parent: str | None = None) -> str:
        """See OwnerSide."""
        made = str(uuid.uuid4())
        body = {"name": f"conformance-{made}", "uuid": made, "parent_provider_uuid": parent}
        self._sent(self.api.placement.post("/resource_providers", json=body, microversion="1.38"))
        self._made.append(lambda: self.placement.providers(tree=made) and self.placement.delete_provider(made))
        inventory = {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 8}}}
        self._sent(self.api.placement.put(f"/resource_providers/{made}/inventories", json=inventory, microversion="1.38"))
        return made

    def allocate(self, consumer: str, provider: str) -> None:
        """See OwnerSide."""
        body = {
            "allocations": {provider: {"resources": {"VCPU": 2}}}, "consumer_generation": None, "consumer_type": "INSTANCE",
            "project_id": self.api.current_project_id, "user_id": self.api.current_user_id,
        }
        self._sent(self.api.placement.put(f"/allocations/{consumer}", json=body, microversion="1.38"))
        self._made.append(lambda: self.placement.allocation(consumer) and self.placement.delete_allocation(consumer))

    def port(self, device: str) -> str:
        """See OwnerSide."""
        made = str(self.api.network.create_port(
            network_id=self.api.network.find_network("private").id, device_id=device, device_owner="compute:nova"
        ).id)
        self._made.append(lambda: self.api.network.delete_port(made))
        return made

    def router_port(self) -> str:
        """See OwnerSide."""
        network = self.api.network.create_network(name="conformance").id
        self._made.append(lambda: self.api.network.delete_network(network))
        subnet = self.api.network.create_subnet(network_id=network, ip_version=4, cidr="198.18.0.0/24").id
        router = self.api.network.create_router(name="conformance").id
        self._made.append(lambda: self.api.network.delete_router(router))
        self.api.network.add_interface_to_router(router, subnet_id=subnet)
        self._made.append(lambda: self.api.network.remove_interface_from_router(router, subnet_id=subnet))
        return next(str(p.id) for p in self.api.network.ports(device_id=router))

    def clean_up(self) -> None:
        """Remove what was made, the last first."""
        for remove in reversed(self._made):
            remove()


@pytest.fixture(scope="module")
def real(lab: Lab) -> Iterator[tuple[Lab, OpenStackCloud]]:
    """opsfix's own way to the lab, with the lab's credentials."""
    lab.revive_all()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in lab.environ.items():
            if name.startswith("OS_"):
                patch.setenv(name, value)
        cloud = OpenStackCloud()
        cloud.connect()
        yield lab, cloud


@pytest.fixture
def side(real: tuple[Lab, OpenStackCloud]) -> Iterator[Any]:
    """A side whose volumes and servers are gone afterwards."""
    side = LabSide(*real)
    yield side
    side.clean_up()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_services_do_what_the_fake_does(case: Case, side: LabSide) -> None:
    assert PATIENCE > 1
    assert case.observe(side) == case.expected


@pytest.fixture
def owner_side(real: tuple[Lab, OpenStackCloud]) -> Iterator[Any]:
    """A side whose images, providers and ports are gone afterwards."""
    side = LabOwnerSide(*real)
    yield side
    side.clean_up()


@pytest.mark.parametrize("case", OWNERS, ids=lambda case: case.name)
def test_the_owners_do_what_their_fakes_do(case: Case, owner_side: LabOwnerSide) -> None:
    assert case.observe(owner_side) == case.expected
