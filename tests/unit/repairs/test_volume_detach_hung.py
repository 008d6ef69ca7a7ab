"""A detach that hangs, and one that nova could never do."""

import threading

import pytest

from opsfix.model import Mode, Outcome
from tests.fakes.cloud import FakeCloud
from tests.fakes.databases import FakeDatabases
from tests.unit.driving import FREE, IN_USE, assert_refused, assert_repaired, state, unstick

HUNG = "volume-detach-hung"
IMPOSSIBLE = "volume-detach-impossible"


def detaching(cloud: FakeCloud, **options: object) -> tuple[str, str]:
    """A detach that nobody works on."""
    volume, server = cloud.attached(**options)  # type: ignore[arg-type]
    cloud.set_volume(volume, "detaching")
    return volume, server


@pytest.mark.parametrize("databases", [True, False])
@pytest.mark.parametrize("vm_state", ["active", "stopped", "paused", "shelved"])
def test_it_is_asked_for_again(cloud: FakeCloud, vm_state: str, databases: bool) -> None:
    volume, _ = detaching(cloud, vm_state=vm_state)
    assert_repaired(cloud, volume, HUNG, databases=databases)
    assert cloud.world.holds == set()


def test_it_may_take_its_time(cloud: FakeCloud) -> None:
    volume, _ = detaching(cloud)
    cloud.nova.detach_lag = 0.3
    assert_repaired(cloud, volume, HUNG, deadline=5.0)


def test_a_heartbeat_that_is_late_is_waited_for(cloud: FakeCloud) -> None:
    volume, _ = detaching(cloud)
    cloud.on("detach_volume", lambda: cloud.kill_host("cmp-1"))
    threading.Timer(0.3, lambda: cloud.revive("cmp-1")).start()
    assert_repaired(cloud, volume, HUNG, deadline=5.0)


def test_another_attachment_that_was_made_meanwhile_is_not_cut(cloud: FakeCloud) -> None:
    volume, _ = detaching(cloud)
    cloud.on("detach_volume", lambda: cloud.kill_host("cmp-1"))

    def attached_anew() -> None:
        [mapping] = cloud.world.mappings_of(volume)
        mapping.attachment_id = "another"
        cloud.revive("cmp-1")

    threading.Timer(0.3, attached_anew).start()
    item = unstick(cloud, volume, deadline=5.0)
    assert [m.attachment_id for m in cloud.world.mappings_of(volume)] == ["another"], item
    assert cloud.world.holds != set()


def test_a_host_that_does_not_report_again_ends_it_with_novas_own_words(cloud: FakeCloud) -> None:
    volume, _ = detaching(cloud)
    cloud.on("detach_volume", lambda: cloud.kill_host("cmp-1"))
    item = unstick(cloud, volume, deadline=0.3)
    assert "Service is unavailable at this time" in str(item.steps)
    assert state(cloud, volume) == IN_USE


@pytest.mark.parametrize("mode", [Mode.APPLY, Mode.COMMIT])
def test_one_that_hangs_again_is_unknown(cloud: FakeCloud, mode: Mode) -> None:
    volume, _ = detaching(cloud)
    cloud.nova.detach_lag = None
    databases = FakeDatabases(cloud)
    assert unstick(cloud, volume, mode=mode, databases=databases).outcome is Outcome.UNKNOWN
    assert databases.committed == []
    assert state(cloud, volume) == "detaching/attached, 1 attachments, 1 mappings"


def test_a_guest_that_does_not_let_go_keeps_its_disk(cloud: FakeCloud) -> None:
    volume, server = detaching(cloud)
    cloud.nova.detach_fails = True
    item = unstick(cloud, volume, mode=Mode.COMMIT)
    assert item.outcome in (Outcome.UNKNOWN, Outcome.FAILED)
    assert state(cloud, volume) == IN_USE
    assert cloud.world.holds == {(server, "cmp-1", volume)}


def test_a_host_that_is_dead_and_not_yet_noticed_is_unknown(cloud: FakeCloud) -> None:
    volume, server = detaching(cloud)
    cloud.kill_host("cmp-1", noticed=False)
    assert unstick(cloud, volume, mode=Mode.COMMIT).outcome is Outcome.UNKNOWN
    assert cloud.world.holds == {(server, "cmp-1", volume)}
    cloud.revive("cmp-1")
    assert state(cloud, volume) == FREE


def test_a_refusal_after_the_roll_back_leaves_it_in_use(cloud: FakeCloud) -> None:
    volume, _ = detaching(cloud)
    cloud.refuse("detach_volume", 409, "Instance is locked")
    item = unstick(cloud, volume, mode=Mode.COMMIT)
    assert state(cloud, volume) == IN_USE
    assert item.outcome is Outcome.REPAIRED
    assert "Instance is locked" in item.reason


@pytest.mark.parametrize("call", ["roll_detaching", "detach_volume"])
@pytest.mark.parametrize("after", [False, True])
def test_a_lost_answer_never_leads_to_sql(cloud: FakeCloud, call: str, after: bool) -> None:
    volume, _ = detaching(cloud)
    cloud.lose(call, after=after)
    databases = FakeDatabases(cloud)
    item = unstick(cloud, volume, mode=Mode.COMMIT, databases=databases)
    assert (state(cloud, volume) == FREE) == (item.outcome is Outcome.REPAIRED)
    assert item.outcome in (Outcome.REPAIRED, Outcome.UNKNOWN)
    assert databases.committed == []


def test_a_server_on_the_move_is_refused(cloud: FakeCloud) -> None:
    volume, server = detaching(cloud)
    cloud.add_migration(server)
    assert_refused(cloud, volume, HUNG, "being built or moved")


def test_a_busy_server_is_refused(cloud: FakeCloud) -> None:
    volume, _ = detaching(cloud, task_state="powering-off")
    assert_refused(cloud, volume, HUNG, "busy (powering-off)")


@pytest.mark.parametrize("databases", [True, False])
def test_from_a_boot_disk_it_is_only_rolled_back(cloud: FakeCloud, databases: bool) -> None:
    volume, server = detaching(cloud, root=True)
    assert_repaired(cloud, volume, IMPOSSIBLE, IN_USE, databases=databases)
    assert cloud.world.holds == {(server, "cmp-1", volume)}


@pytest.mark.parametrize("vm_state", ["error", "suspended", "rescued"])
def test_from_a_server_that_cannot_detach_it_is_only_rolled_back(cloud: FakeCloud, vm_state: str) -> None:
    volume, _ = detaching(cloud, vm_state=vm_state)
    assert_repaired(cloud, volume, IMPOSSIBLE, IN_USE)


def test_from_several_servers_it_is_only_rolled_back(cloud: FakeCloud) -> None:
    volume, _ = detaching(cloud, volume={"multiattach": True})
    cloud.attach(volume, cloud.add_server())
    cloud.set_volume(volume, "detaching")
    assert_repaired(cloud, volume, IMPOSSIBLE, "in-use/attached, 2 attachments, 2 mappings")


def test_an_impossible_one_of_a_server_on_the_move_is_refused(cloud: FakeCloud) -> None:
    volume, server = detaching(cloud, root=True)
    cloud.add_migration(server)
    assert_refused(cloud, volume, IMPOSSIBLE, "being built or moved")


def test_with_two_mappings_it_is_only_rolled_back(cloud: FakeCloud) -> None:
    volume, server = detaching(cloud)
    cloud.add_mapping(server, volume, cloud.world.volumes[volume].live[0].id)
    assert_repaired(cloud, volume, IMPOSSIBLE, "in-use/attached, 1 attachments, 2 mappings")
