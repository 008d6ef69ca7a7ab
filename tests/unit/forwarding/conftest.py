"""A small cloud: one router, two floating IPs, a server with a port."""

import pytest

from opsfix.forwarding.reading import Reader
from tests.fakes.forwarding import FakeCloud

SERVER = "5e5e5e5e-0000-4000-8000-000000000001"


@pytest.fixture
def cloud() -> FakeCloud:
    made = FakeCloud()
    made.add_server(SERVER, "web-01")
    made.network.add_fip(7)
    made.network.add_fip(8)
    made.network.add_port("port-1", "10.0.0.5", device=SERVER, owner="compute:nova")
    return made


@pytest.fixture
def reader(cloud: FakeCloud) -> Reader:
    return Reader(cloud, 4)  # type: ignore[arg-type]
