"""A connected attachment that nova knows nothing of."""

import pytest

from opsfix.model import Mode, Outcome
from tests.fakes.cloud import FakeCloud
from tests.unit.driving import assert_refused, assert_repaired, unchanged, unstick

UNPROVEN = "volume-attachment-unproven"


@pytest.mark.parametrize("databases", [True, False])
@pytest.mark.parametrize("status", ["in-use", "detaching", "available"])
def test_it_is_refused_while_the_guest_may_have_the_disk(cloud: FakeCloud, status: str, databases: bool) -> None:
    volume, server = cloud.attached()
    cloud.drop_mapping(server, volume)
    cloud.set_volume(volume, status)
    assert_refused(cloud, volume, UNPROVEN, "stop the server", databases=databases)


def test_once_the_server_is_off_it_goes(cloud: FakeCloud) -> None:
    volume, server = cloud.attached()
    cloud.drop_mapping(server, volume)
    cloud.set_server(server, vm_state="stopped", power_state=4)
    assert_repaired(cloud, volume, "volume-attachment-orphaned")


def test_a_server_in_a_down_cell_tells_nothing(cloud: FakeCloud) -> None:
    volume, server = cloud.attached()
    cloud.drop_mapping(server, volume)
    cloud.cell_down()
    for databases in (True, False):
        with unchanged(cloud):
            item = unstick(cloud, volume, mode=Mode.COMMIT, databases=databases)
        assert item.outcome in (Outcome.UNKNOWN, Outcome.REFUSED)
