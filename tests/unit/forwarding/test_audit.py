"""Everything that can be wrong is found, with the command that repairs it; what is in order is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from opsfix.errors import CloudUnknown
from opsfix.forwarding.audit import faults, read
from opsfix.forwarding.reading import Reader
from opsfix.resources import PortForwarding
from tests.docs.documents import ROOT, table
from tests.fakes.forwarding import FakeCloud
from tests.unit.forwarding.conftest import SERVER


@pytest.fixture
def row(cloud: FakeCloud) -> PortForwarding:
    return cloud.network.add_row(cloud.network.fips["fip-7"], cloud.network.port_rows["port-1"], 60122, 22)


def found(reader: Reader) -> list[tuple[str, str]]:
    return [(f.finding, f.command) for f in faults(read(reader))]


def change(cloud: FakeCloud, **more: object) -> None:
    cloud.network.port_rows["port-1"] = replace(cloud.network.port_rows["port-1"], **more)  # type: ignore[arg-type]


def port_gone(cloud: FakeCloud) -> None:
    del cloud.network.port_rows["port-1"]


def address_changed(cloud: FakeCloud) -> None:
    change(cloud, addresses=("10.0.0.77",))


def addresses_gone(cloud: FakeCloud) -> None:
    change(cloud, addresses=(), subnet_ids=())


def server_gone(cloud: FakeCloud) -> None:
    cloud.server_rows.clear()


def unattached(cloud: FakeCloud) -> None:
    change(cloud, device_id="", device_owner="", status="DOWN")


def switched_off(cloud: FakeCloud) -> None:
    change(cloud, enabled=False, status="DOWN")


def stopped(cloud: FakeCloud) -> None:
    cloud.add_server(SERVER, "web-01", vm_state="stopped")
    change(cloud, status="DOWN")


def down(cloud: FakeCloud) -> None:
    change(cloud, status="DOWN", host="gpu-01")


def own(cloud: FakeCloud) -> None:
    cloud.network.add_fip(8, port_id="port-1", router_id="router-1")


def no_gateway(cloud: FakeCloud) -> None:
    cloud.network.gateways["router-1"] = None


def no_router(cloud: FakeCloud) -> None:
    cloud.network.fips["fip-7"] = replace(cloud.network.fips["fip-7"], router_id=None)


def kept(cloud: FakeCloud) -> None:
    cloud.network.add_fip(8, router_id="router-1")


def in_use(cloud: FakeCloud) -> None:
    cloud.network.add_port("other", "10.0.0.6", device="x", owner="compute:nova")
    cloud.network.fips["fip-7"] = replace(cloud.network.fips["fip-7"], port_id="other")


def collision(cloud: FakeCloud) -> None:
    cloud.network.add_row(cloud.network.fips["fip-7"], cloud.network.port_rows["port-1"], (60120, 60130), 3)


def shadowed(cloud: FakeCloud) -> None:
    cloud.network.add_row(cloud.network.fips["fip-8"], cloud.network.port_rows["port-1"], 2222, (20, 25))


REMOVE = "opsfix forward remove 198.51.100.7 --id row-0"
AGAIN = "opsfix forward add 198.51.100.7 --to port-1:{} --port 60122:22"
CASES: dict[Callable[[FakeCloud], None], tuple[str, str]] = {
    port_gone: ("forward-port-gone", REMOVE),
    address_changed: ("forward-address-gone", f"{REMOVE} && {AGAIN.format('10.0.0.77')}"),
    addresses_gone: ("forward-address-gone", REMOVE),
    server_gone: ("forward-server-gone", REMOVE),
    unattached: ("forward-port-unattached", REMOVE),
    switched_off: ("forward-port-down", "openstack port set --enable port-1"),
    stopped: ("forward-port-down", f"openstack server start {SERVER}"),
    down: ("forward-port-down", "openstack network agent list --host gpu-01"),
    own: ("forward-port-has-floating-ip", REMOVE),
    no_gateway: ("forward-router-unreachable", "openstack router show router-1"),
    no_router: ("forward-without-router", "openstack floating ip show fip-7"),
    kept: ("forward-router-kept", "openstack floating ip set --port PORT fip-8 && openstack floating ip unset --port fip-8"),
    in_use: ("forward-floating-ip-in-use", "openstack floating ip unset --port fip-7"),
    collision: ("forward-collision", REMOVE),
    shadowed: ("forward-shadowed", REMOVE),
}


@pytest.mark.usefixtures("row")
def test_what_is_in_order_is_not_found(reader: Reader) -> None:
    assert found(reader) == []


@pytest.mark.usefixtures("row")
@pytest.mark.parametrize("break_it", CASES, ids=lambda b: b.__name__)
def test_what_is_wrong_is_found_with_its_repair(cloud: FakeCloud, reader: Reader, break_it: Callable[[FakeCloud], None]) -> None:
    break_it(cloud)
    assert found(reader) == [CASES[break_it]]


@pytest.mark.usefixtures("row")
def test_a_virtual_address_is_carried_by_another_port(cloud: FakeCloud, reader: Reader) -> None:
    unattached(cloud)
    carrier = cloud.network.add_port("carrier", "10.0.0.6", device=SERVER, owner="compute:nova", pairs=("10.0.0.5",))
    assert found(reader) == []
    cloud.network.port_rows["carrier"] = replace(carrier, status="DOWN")
    assert [name for name, _ in found(reader)] == ["forward-port-unattached"]
    change(cloud, device_id="lb", device_owner="Octavia")
    cloud.network.port_rows["carrier"] = carrier
    assert found(reader) == []


@pytest.mark.usefixtures("row")
def test_silence_is_no_absence(cloud: FakeCloud, reader: Reader) -> None:
    server_gone(cloud)
    cloud.cells = False
    with pytest.raises(CloudUnknown, match="cell"):
        read(reader)


def test_every_finding_is_in_the_runbook() -> None:
    rows = {row[0] for row in table((ROOT / "runbooks" / "forward.md").read_text(), "finding")}
    assert rows == {name for name, _ in CASES.values()}
