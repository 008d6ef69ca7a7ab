"""nova maps a volume that cinder has no attachment for."""

import pytest

from opsfix.model import Mode, Outcome, Result
from tests.fakes.cloud import FakeCloud
from tests.unit.driving import FREE, assert_refused, assert_repaired, state, unchanged, unstick

DANGLING = "volume-mapping-dangling"
LEFT = "available/detached, 0 attachments, 1 mappings"


def dangling(cloud: FakeCloud, **server: object) -> tuple[str, str]:
    """What 'volume set --state available --detached' makes of an attached volume."""
    volume, guest = cloud.add_volume(), cloud.add_server(**server)
    cloud.add_mapping(guest, volume)
    return volume, guest


@pytest.mark.parametrize("databases", [True, False])
@pytest.mark.parametrize("vm_state", ["active", "stopped", "paused", "shelved_offloaded"])
def test_it_is_held_and_then_detached_by_nova(cloud: FakeCloud, vm_state: str, databases: bool) -> None:
    volume, _ = dangling(cloud, vm_state=vm_state)
    assert_repaired(cloud, volume, DANGLING, databases=databases)
    assert cloud.world.holds == set()


def test_the_detach_may_take_its_time(cloud: FakeCloud) -> None:
    volume, _ = dangling(cloud)
    cloud.nova.detach_lag = 0.3
    assert_repaired(cloud, volume, DANGLING, deadline=5.0)


def test_a_refused_detach_gives_the_hold_back(cloud: FakeCloud) -> None:
    volume, server = dangling(cloud)
    cloud.refuse("detach_volume", 409, "Instance is locked")
    item = unstick(cloud, volume, mode=Mode.COMMIT)
    assert item.outcome is Outcome.FAILED
    assert "Instance is locked" in item.reason
    assert state(cloud, volume) == LEFT
    assert cloud.world.holds == {(server, "cmp-1", volume)}


def test_a_hung_detach_keeps_the_hold(cloud: FakeCloud) -> None:
    """The guest may still have the disk: nobody else must get it."""
    volume, _ = dangling(cloud)
    cloud.nova.detach_lag = None
    item = unstick(cloud, volume, mode=Mode.COMMIT)
    assert item.outcome is Outcome.UNKNOWN
    assert state(cloud, volume) == "detaching/attached, 1 attachments, 1 mappings"


def test_somebody_who_takes_the_volume_first_keeps_it(cloud: FakeCloud) -> None:
    volume, _ = dangling(cloud)
    other = cloud.add_server("other")
    cloud.on("create_attachment", lambda: cloud.attach(volume, other) and None)
    unstick(cloud, volume, mode=Mode.COMMIT)
    assert state(cloud, volume) == "in-use/attached, 1 attachments, 2 mappings"
    assert cloud.world.volumes[volume].live[0].server_id == other


@pytest.mark.parametrize("call", ["create_attachment", "complete_attachment", "detach_volume"])
@pytest.mark.parametrize("after", [False, True])
def test_a_lost_answer_is_never_taken_for_a_no(cloud: FakeCloud, call: str, after: bool) -> None:
    volume, _ = dangling(cloud)
    cloud.lose(call, after=after)
    item = unstick(cloud, volume, mode=Mode.COMMIT)
    assert item.outcome in (Outcome.UNKNOWN, Outcome.REPAIRED)
    assert (state(cloud, volume) == FREE) == (item.outcome is Outcome.REPAIRED)
    assert all(step.kind == "api" for step in item.steps)
    assert any(step.result is Result.UNKNOWN for step in item.steps)


def test_a_boot_disk_is_refused(cloud: FakeCloud) -> None:
    volume, server = cloud.add_volume(), cloud.add_server()
    cloud.add_mapping(server, volume, root=True)
    for databases in (True, False):
        assert_refused(cloud, volume, DANGLING, "boot disk", databases=databases)


def test_a_server_under_construction_is_refused(cloud: FakeCloud) -> None:
    volume, _ = dangling(cloud, vm_state="building")
    assert_refused(cloud, volume, DANGLING, "being built or moved")


def test_a_dead_host_is_refused(cloud: FakeCloud) -> None:
    volume, _ = dangling(cloud)
    cloud.kill_host("cmp-1")
    assert_refused(cloud, volume, DANGLING, "--fenced cmp-1")


@pytest.mark.parametrize("status", ["in-use", "detaching", "reserved", "attaching"])
def test_a_volume_that_cannot_be_reserved_is_refused(cloud: FakeCloud, status: str) -> None:
    volume, _ = dangling(cloud)
    cloud.set_volume(volume, status)
    assert_refused(cloud, volume, DANGLING, status, "nova-manage volume_attachment refresh")


def test_a_volume_that_another_server_has_meanwhile_is_refused(cloud: FakeCloud) -> None:
    """The worst case: two guests may write to one disk."""
    volume, _ = dangling(cloud)
    cloud.attach(volume, cloud.add_server())
    assert_refused(cloud, volume, DANGLING, "2 servers")


def test_a_down_cell_is_unknown_or_refused(cloud: FakeCloud) -> None:
    volume, _ = dangling(cloud)
    cloud.cell_down()
    for databases in (True, False):
        with unchanged(cloud):
            item = unstick(cloud, volume, mode=Mode.COMMIT, databases=databases)
        assert item.outcome in (Outcome.UNKNOWN, Outcome.REFUSED)


@pytest.mark.parametrize("status", ["in-use", "detaching", "reserved", "attaching", "available"])
def test_the_hold_of_an_earlier_run_is_taken_up(cloud: FakeCloud, status: str) -> None:
    volume, server = dangling(cloud)
    completed = status in ("in-use", "detaching")
    cloud.add_attachment(volume, server, "attached" if completed else "reserved", connected=False)
    cloud.set_volume(volume, status, attach_status="attached" if completed else "detached")
    assert_repaired(cloud, volume, DANGLING)


@pytest.mark.parametrize("status", ["in-use", "detaching", "reserved"])
def test_a_hold_is_not_given_back_while_the_guest_may_write(cloud: FakeCloud, status: str) -> None:
    """A run that hung left the hold; then the host died: to free the volume now is to give one disk to two guests."""
    volume, server = dangling(cloud)
    cloud.add_attachment(volume, server, "attached", connected=False)
    cloud.set_volume(volume, status, attach_status="attached")
    cloud.kill_host("cmp-1")
    assert_refused(cloud, volume, DANGLING, "--fenced cmp-1")


def test_a_stale_attachment_is_not_deleted_while_another_guest_may_write(cloud: FakeCloud) -> None:
    volume, _ = dangling(cloud, host="cmp-2")
    gone = cloud.add_server()
    cloud.add_attachment(volume, gone)
    cloud.lose_server(gone)
    cloud.set_volume(volume, "in-use", attach_status="attached")
    cloud.kill_host("cmp-2")
    assert_refused(cloud, volume, DANGLING, "--fenced cmp-2")
    cloud.revive("cmp-2")
    assert_repaired(cloud, volume, DANGLING)


def test_a_stale_attachment_is_not_deleted_while_a_boot_disk_is_mapped(cloud: FakeCloud) -> None:
    volume, server = cloud.add_volume(), cloud.add_server()
    cloud.add_mapping(server, volume, root=True)
    gone = cloud.add_server()
    cloud.add_attachment(volume, gone)
    cloud.lose_server(gone)
    cloud.set_volume(volume, "in-use", attach_status="attached")
    assert_refused(cloud, volume, DANGLING, "boot disk")


def test_two_mappings_of_one_server_are_refused(cloud: FakeCloud) -> None:
    volume, server = cloud.attached()
    cloud.add_mapping(server, volume)
    assert_refused(cloud, volume, DANGLING, server, "twice")


def test_another_attachment_of_the_running_guest_is_refused(cloud: FakeCloud) -> None:
    volume, server = dangling(cloud)
    cloud.add_attachment(volume, server)
    cloud.set_volume(volume, "in-use", attach_status="attached")
    assert_refused(cloud, volume, "volume-attachment-unproven", "stop the server")


def test_on_a_fenced_host_nothing_is_freed_before_novas_side_is_cut(cloud: FakeCloud) -> None:
    volume, server = dangling(cloud)
    cloud.add_attachment(volume, server, "attached", connected=False)
    cloud.set_volume(volume, "detaching", attach_status="attached")
    cloud.kill_host("cmp-1", off=True)
    assert_repaired(cloud, volume, "volume-host-fenced", by="sql", fenced=["cmp-1"])


@pytest.mark.parametrize("held", [False, True])
class TestGuards:
    """The same with and without an attachment that holds the volume."""

    def broken(self, cloud: FakeCloud, held: bool, **server: object) -> tuple[str, str]:
        volume, guest = dangling(cloud, **server)
        if held:
            cloud.add_attachment(volume, guest, "attached", connected=False)
            cloud.set_volume(volume, "in-use", attach_status="attached")
        return volume, guest

    def test_a_server_on_the_move_is_refused(self, cloud: FakeCloud, held: bool) -> None:
        volume, server = self.broken(cloud, held)
        cloud.add_migration(server, "queued")
        assert_refused(cloud, volume, DANGLING, "being built or moved")

    def test_a_busy_server_is_refused(self, cloud: FakeCloud, held: bool) -> None:
        volume, _ = self.broken(cloud, held, task_state="rebooting_hard")
        assert_refused(cloud, volume, DANGLING, "busy (rebooting_hard)")

    def test_a_server_in_error_is_refused(self, cloud: FakeCloud, held: bool) -> None:
        volume, _ = self.broken(cloud, held, vm_state="error")
        assert_refused(cloud, volume, DANGLING, "vm_state error")

    def test_several_servers_are_refused(self, cloud: FakeCloud, held: bool) -> None:
        volume, _ = self.broken(cloud, held)
        cloud.add_mapping(cloud.add_server(), volume)
        assert_refused(cloud, volume, DANGLING, "2 servers map the volume")

    def test_two_mappings_of_one_server_are_refused(self, cloud: FakeCloud, held: bool) -> None:
        volume, server = self.broken(cloud, held)
        cloud.add_mapping(server, volume)
        assert_refused(cloud, volume, DANGLING, "twice")

    def test_a_server_that_does_not_answer_is_refused(self, cloud: FakeCloud, held: bool) -> None:
        volume, _ = self.broken(cloud, held)
        cloud.cell_down()
        item = assert_refused(cloud, volume, "volume-attachment-unproven" if held else DANGLING, "its cell is down")
        assert item.outcome is Outcome.REFUSED
