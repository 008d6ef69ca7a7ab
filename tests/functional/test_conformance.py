"""What the fake cloud is built on, seen on real services: the same cases through the same calls."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from opsfix.gateways.cloud import OpenStackCloud
from tests.conformance.cases import CASES, Case
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
