"""Attached on both sides, and not called in-use."""

import pytest

from opsfix.model import Outcome
from tests.fakes.cloud import FakeCloud
from tests.unit.driving import IN_USE, assert_refused, assert_repaired, state, unstick

SYMPTOM = "volume-attached-not-in-use"


@pytest.mark.parametrize("databases", [True, False])
@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize("status", ["available", "attaching", "reserved"])
def test_it_is_called_in_use_again(cloud: FakeCloud, status: str, root: bool, databases: bool) -> None:
    volume, server = cloud.attached(root=root)
    cloud.set_volume(volume, status)
    assert_repaired(cloud, volume, SYMPTOM, IN_USE, databases=databases)
    assert cloud.world.holds == {(server, "cmp-1", volume)}


def test_several_servers_are_no_obstacle(cloud: FakeCloud) -> None:
    volume, _ = cloud.attached(volume={"multiattach": True})
    cloud.attach(volume, cloud.add_server())
    cloud.set_volume(volume, "available")
    assert_repaired(cloud, volume, SYMPTOM, "in-use/attached, 2 attachments, 2 mappings")


def test_a_dead_host_is_no_obstacle(cloud: FakeCloud) -> None:
    volume, _ = cloud.attached()
    cloud.set_volume(volume, "available")
    cloud.kill_host("cmp-1")
    assert_repaired(cloud, volume, SYMPTOM, IN_USE)


def test_a_server_on_the_move_is_refused(cloud: FakeCloud) -> None:
    volume, server = cloud.attached()
    cloud.set_volume(volume, "available")
    cloud.add_migration(server)
    assert_refused(cloud, volume, SYMPTOM, "being built or moved")


def test_a_server_that_does_not_answer_is_refused(cloud: FakeCloud) -> None:
    volume, _ = cloud.attached()
    cloud.set_volume(volume, "available")
    cloud.cell_down()
    item = unstick(cloud, volume)
    assert item.outcome in (Outcome.UNKNOWN, Outcome.REFUSED)
    assert state(cloud, volume) == "available/attached, 1 attachments, 1 mappings"
