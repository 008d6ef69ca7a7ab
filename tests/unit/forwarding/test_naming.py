"""What an operator writes, and what it means."""

import pytest

from opsfix.errors import GuardError, OpsfixError, TargetNotFound, UsageError
from opsfix.forwarding import naming
from tests.fakes.forwarding import FakeCloud
from tests.unit.forwarding.conftest import SERVER

PORT = "90909090-0000-4000-8000-00000000000a"


@pytest.fixture(autouse=True)
def _more(cloud: FakeCloud) -> None:
    cloud.network.add_port(PORT, "10.0.0.9", "10.0.1.9", "fd00::9", name="two")
    cloud.network.add_port("port-six", "fd00::6", name="six")
    cloud.add_server("twin-1", "twin")
    cloud.network.add_port("port-twin", "10.0.0.20", name="twin")


@pytest.mark.parametrize(("text", "expected"), [
    ("web-01", ("port-1", "10.0.0.5")),
    (SERVER, ("port-1", "10.0.0.5")),
    (SERVER.upper(), ("port-1", "10.0.0.5")),
    ("web-01:10.0.0.5", ("port-1", "10.0.0.5")),
    ("two:10.0.1.9", (PORT, "10.0.1.9")),
    (f"{PORT}:10.0.0.9", (PORT, "10.0.0.9")),
    ("web-01:10.9.9.9", ("port-1", "10.9.9.9")),  # a guard refuses it, with the addresses that there are
])
def test_a_target_is_found(cloud: FakeCloud, text: str, expected: tuple[str, str]) -> None:
    port, address = naming.target(cloud, text)  # type: ignore[arg-type]
    assert (port.id, address) == expected


@pytest.mark.parametrize(("text", "error", "words"), [
    ("nobody", TargetNotFound, "nobody"),
    ("web", TargetNotFound, "web"),
    ("00000000-0000-4000-8000-000000000000", TargetNotFound, "was found"),
    ("two", UsageError, "two:10.0.0.9"),
    ("twin", UsageError, "server twin-1 (project p), port port-twin (project p)"),
    ("six", GuardError, "no IPv4 address"),
    ("", UsageError, "names no server"),
    (":10.0.0.5", UsageError, "names no server"),
    ("two:fd00::9", TargetNotFound, "two:fd00::9"),
])
def test_what_is_not_clear_is_told(cloud: FakeCloud, text: str, error: type[OpsfixError], words: str) -> None:
    with pytest.raises(error) as told:
        naming.target(cloud, text)  # type: ignore[arg-type]
    assert words in str(told.value)


def test_an_address_on_two_ports_of_a_server_needs_the_port(cloud: FakeCloud) -> None:
    cloud.network.add_port("port-2", "10.0.0.5", device=SERVER, owner="compute:nova")
    with pytest.raises(UsageError, match="name the port"):
        naming.target(cloud, "web-01:10.0.0.5")  # type: ignore[arg-type]
    cloud.network.add_port("port-2", "10.0.0.6", device=SERVER, owner="compute:nova")
    with pytest.raises(GuardError, match=r"not 10\.0\.0\.77"):
        naming.target(cloud, "web-01:10.0.0.77")  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["198.51.100.9", "nonsense", "", "fd00::1", "00000000-0000-4000-8000-000000000000"])
def test_an_unknown_floating_ip_was_not_found(cloud: FakeCloud, text: str) -> None:
    with pytest.raises(TargetNotFound, match="not found"):
        naming.floating_ip(cloud.network, text)  # type: ignore[arg-type]


def test_an_address_of_two_networks_needs_the_id(cloud: FakeCloud) -> None:
    cloud.network.add_fip(9, address="198.51.100.7", network_id="elsewhere")
    with pytest.raises(UsageError, match="fip-7"):
        naming.floating_ip(cloud.network, "198.51.100.7")  # type: ignore[arg-type]
