"""Volumes in operations that only cinder itself may end."""

import pytest

from opsfix.repairs.volume_in_operation import NEXT
from tests.fakes.cloud import FakeCloud
from tests.unit.driving import assert_refused

IN_OPERATION = "volume-in-operation"


@pytest.mark.parametrize("databases", [True, False])
@pytest.mark.parametrize("status", NEXT)
def test_it_is_refused_with_the_way_out(cloud: FakeCloud, status: str, databases: bool) -> None:
    volume = cloud.add_volume(status=status)
    shown = {"managing": "volume-creating", "error_managing_deleting": "volume-deleting"}
    finding = IN_OPERATION if databases else shown.get(status, IN_OPERATION)
    reason = assert_refused(cloud, volume, finding, databases=databases).reason
    assert "{" not in reason
    assert "?" not in reason


def test_transfers_are_counted(cloud: FakeCloud) -> None:
    volume = cloud.add_volume(status="awaiting-transfer")
    cloud.world.transfers["transfer-1"] = volume
    assert_refused(cloud, volume, IN_OPERATION, "1 transfers pending")


@pytest.mark.parametrize("status", ["available", "in-use", "detaching", "reserved", "deleting", "maintenance"])
@pytest.mark.parametrize("migration", ["migrating", "starting", "completing", "target:volume-2"])
def test_a_migration_is_refused_whatever_the_status(cloud: FakeCloud, status: str, migration: str) -> None:
    volume = cloud.add_volume(status=status, migration_status=migration)
    assert_refused(cloud, volume, IN_OPERATION, migration)


@pytest.mark.parametrize(
    "status",
    ["attaching", "detaching", "reserved", "creating", "deleting", "error_deleting", "uploading", "downloading"],
)
def test_a_stuck_member_of_a_group_is_refused(cloud: FakeCloud, status: str) -> None:
    volume = cloud.add_volume(status=status, group_id="group-1")
    assert_refused(cloud, volume, IN_OPERATION, "group-1")
