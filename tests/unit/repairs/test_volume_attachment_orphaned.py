"""Attachments that no server uses."""

from datetime import UTC, datetime

import pytest

from opsfix.model import Mode, Outcome, Result
from tests.fakes.cloud import FakeCloud
from tests.fakes.databases import FakeDatabases
from tests.unit.driving import FREE, IN_USE, Driver, assert_refused, assert_repaired, state, unstick

ORPHANED = "volume-attachment-orphaned"


def orphan(cloud: FakeCloud, **volume: object) -> str:
    """A volume whose server is gone from a living host."""
    volume_id, server = cloud.attached(volume=volume)
    cloud.lose_server(server)
    return volume_id


@pytest.mark.parametrize("databases", [True, False])
@pytest.mark.parametrize("status", ["in-use", "detaching", "attaching", "reserved", "available"])
def test_the_attachment_of_a_server_that_is_gone_goes(cloud: FakeCloud, status: str, databases: bool) -> None:
    volume = orphan(cloud)
    cloud.set_volume(volume, status)
    assert_repaired(cloud, volume, ORPHANED, databases=databases)


@pytest.mark.parametrize("count", [2, 40])
def test_several_go_one_by_one_and_the_one_in_use_stays(cloud: FakeCloud, count: int) -> None:
    volume, server = cloud.attached(volume={"multiattach": True})
    for _ in range(count):
        gone = cloud.add_server()
        cloud.add_attachment(volume, gone)
        cloud.lose_server(gone)
    assert_repaired(cloud, volume, ORPHANED, IN_USE)
    assert cloud.world.holds == {(server, "cmp-1", volume)}


def test_several_go_by_sql_where_the_backend_is_dead(cloud: FakeCloud) -> None:
    volume, _ = cloud.attached(volume={"multiattach": True})
    for _ in range(3):
        gone = cloud.add_server()
        cloud.add_attachment(volume, gone)
        cloud.lose_server(gone)
    cloud.kill_backend()
    assert_repaired(cloud, volume, ORPHANED, IN_USE, by="sql")


def test_a_second_attachment_of_the_same_server_on_another_host_goes(cloud: FakeCloud) -> None:
    volume, server = cloud.attached()
    cloud.add_host("cmp-2")
    cloud.add_attachment(volume, server, host="cmp-2")
    assert_repaired(cloud, volume, ORPHANED, IN_USE)


def test_a_second_attachment_that_may_share_the_guests_connection_stays(cloud: FakeCloud) -> None:
    volume, server = cloud.attached()
    cloud.add_attachment(volume, server)
    assert_refused(cloud, volume, ORPHANED, "may share the connection")


def test_what_is_attached_without_connection_data_is_somebodys(cloud: FakeCloud) -> None:
    volume = cloud.add_volume(status="in-use", attach_status="attached")
    cloud.add_attachment(volume, None, "attached", connected=False, host="bare-1")
    assert unstick(cloud, volume).outcome is Outcome.HEALTHY
    cloud.set_volume(volume, "detaching")
    assert_refused(cloud, volume, "volume-attachment-foreign", "ask that one")


def test_a_failed_attachment_of_a_guest_on_a_dead_host_stays(cloud: FakeCloud) -> None:
    volume, server = cloud.add_volume(), cloud.add_server()
    cloud.add_attachment(volume, server, "error_attaching")
    cloud.kill_host("cmp-1")
    assert_refused(cloud, volume, ORPHANED, "still write")


@pytest.mark.parametrize("status", ["reserved", "error_attaching"])
def test_an_attachment_that_no_host_ever_got_goes(cloud: FakeCloud, status: str) -> None:
    volume, server = cloud.add_volume(), cloud.add_server()
    cloud.add_attachment(volume, server, status, connected=False)
    cloud.set_volume(volume, "reserved", attach_status="reserved")
    assert_repaired(cloud, volume, ORPHANED)


def test_a_reservation_goes_even_where_the_backend_is_dead(cloud: FakeCloud) -> None:
    volume, server = cloud.add_volume(), cloud.add_server()
    cloud.add_attachment(volume, server, "reserved", connected=False)
    cloud.set_volume(volume, "reserved", attach_status="reserved")
    cloud.kill_backend()
    assert_repaired(cloud, volume, ORPHANED)


def test_only_a_reservation_goes_without_the_backend(cloud: FakeCloud) -> None:
    """cinder asks cinder-volume for every attachment that is not reserved, connected or not."""
    volume, server = cloud.add_volume(), cloud.add_server()
    cloud.add_attachment(volume, server, "attaching", connected=False)
    cloud.set_volume(volume, "attaching", attach_status="attaching")
    cloud.kill_backend()
    assert_repaired(cloud, volume, ORPHANED, by="sql")


def test_that_of_a_server_that_is_off_goes(cloud: FakeCloud) -> None:
    volume, server = cloud.attached()
    cloud.drop_mapping(server, volume)
    cloud.set_server(server, vm_state="stopped", power_state=4)
    assert_repaired(cloud, volume, ORPHANED)


@pytest.mark.parametrize("vm_state", ["suspended", "paused", "rescued"])
def test_that_of_a_guest_that_will_go_on_stays(cloud: FakeCloud, vm_state: str) -> None:
    """A suspended guest is shut down for its host, and holds its disks in its memory."""
    volume, server = cloud.attached()
    cloud.drop_mapping(server, volume)
    cloud.set_server(server, vm_state=vm_state, power_state=4)
    assert_refused(cloud, volume, "volume-attachment-unproven")


@pytest.mark.parametrize("status", ["reserved", "error_attaching", "attaching"])
def test_a_gone_servers_attachment_that_no_host_ever_got_goes(cloud: FakeCloud, status: str) -> None:
    volume, server = cloud.add_volume(), cloud.add_server(host=None)
    cloud.add_attachment(volume, server, status, connected=False)
    cloud.set_volume(volume, "reserved", attach_status="reserved")
    cloud.lose_server(server)
    assert_repaired(cloud, volume, ORPHANED)


def test_with_a_dead_backend_the_sql_waits_for_commit(cloud: FakeCloud) -> None:
    volume = orphan(cloud)
    cloud.kill_backend()
    assert_repaired(cloud, volume, ORPHANED, by="sql")


def test_a_backend_that_nobody_knows_counts_as_dead(cloud: FakeCloud) -> None:
    volume = orphan(cloud, host="elsewhere@lvm#lvm")
    assert_repaired(cloud, volume, ORPHANED, by="sql")


def test_a_dead_host_is_refused_until_it_is_said_to_be_fenced(cloud: FakeCloud) -> None:
    volume, server = cloud.attached()
    cloud.kill_host("cmp-1")
    cloud.lose_server(server)
    assert_refused(cloud, volume, ORPHANED, "cmp-1 (down)", "--fenced")
    assert_refused(cloud, volume, ORPHANED, "cmp-1 (down)", fenced=["cmp-2"])
    assert_repaired(cloud, volume, ORPHANED, fenced=["cmp-1"])


def test_a_host_said_to_be_fenced_that_is_up_is_refused(cloud: FakeCloud) -> None:
    volume = orphan(cloud)
    assert_refused(cloud, volume, ORPHANED, "up, yet said to be fenced", fenced=["cmp-1"])


def test_a_host_whose_compute_service_is_gone_is_refused(cloud: FakeCloud) -> None:
    volume = orphan(cloud)
    cloud.world.services = [s for s in cloud.world.services if s.host != "cmp-1"]
    assert_refused(cloud, volume, ORPHANED, "cmp-1 (missing)", "--fenced")


@pytest.mark.parametrize("databases", [True, False])
def test_a_host_that_nobody_knows_is_refused(cloud: FakeCloud, databases: bool) -> None:
    volume = orphan(cloud)
    cloud.world.volumes[volume].live[0].host = None
    assert_refused(cloud, volume, ORPHANED, "may run on a host", databases=databases)


def test_a_server_on_the_move_keeps_both_attachments(cloud: FakeCloud) -> None:
    volume, server = cloud.attached()
    cloud.add_attachment(volume, server, host="cmp-2")
    cloud.add_migration(server)
    assert_refused(cloud, volume, ORPHANED, f"server {server} is being built, moved")


def test_a_resize_that_waits_for_its_confirmation_keeps_both_attachments(cloud: FakeCloud) -> None:
    volume, server = cloud.attached()
    cloud.add_attachment(volume, server)
    cloud.add_migration(server, "finished")
    assert_refused(cloud, volume, ORPHANED, "confirm or revert")


def test_a_server_under_construction_keeps_its_reservation(cloud: FakeCloud) -> None:
    volume, server = cloud.add_volume(), cloud.add_server(vm_state="building", host=None)
    cloud.add_attachment(volume, server, "reserved", connected=False)
    cloud.set_volume(volume, "reserved")
    assert_refused(cloud, volume, ORPHANED, "being built")


@pytest.mark.parametrize("mode", [Mode.APPLY, Mode.COMMIT])
def test_a_409_never_leads_to_sql(cloud: FakeCloud, mode: Mode) -> None:
    """Between our look and our call nova began to use the attachment."""
    volume, server = cloud.attached()
    cloud.drop_mapping(server, volume)
    cloud.set_server(server, power_state=4)
    databases = FakeDatabases(cloud)
    attachment = cloud.world.volumes[volume].live[0].id
    cloud.on("delete_attachment", lambda: cloud.add_mapping(server, volume, attachment) and None)
    item = unstick(cloud, volume, mode=mode, databases=databases)
    assert databases.committed == []
    assert state(cloud, volume) == IN_USE
    assert item.outcome in (Outcome.FAILED, Outcome.REPAIRED, Outcome.REFUSED)


@pytest.mark.parametrize("mode", [Mode.APPLY, Mode.COMMIT])
def test_a_409_on_an_attachment_that_stays_stale_is_a_failure(cloud: FakeCloud, mode: Mode) -> None:
    volume = orphan(cloud)
    cloud.refuse("delete_attachment", 409, "Detach volume from instance X using the Compute API")
    databases = FakeDatabases(cloud)
    before = cloud.world.picture()
    item = unstick(cloud, volume, mode=mode, databases=databases)
    assert item.outcome is Outcome.FAILED
    assert "Detach volume from instance X using the Compute API" in item.reason
    assert databases.committed == []
    assert cloud.world.picture() == before


@pytest.mark.parametrize("mode", [Mode.APPLY, Mode.COMMIT])
def test_an_answer_lost_before_the_effect_never_leads_to_sql(cloud: FakeCloud, mode: Mode) -> None:
    volume = orphan(cloud)
    cloud.lose("delete_attachment", times=None)
    databases = FakeDatabases(cloud)
    before = cloud.world.picture()
    item = unstick(cloud, volume, mode=mode, databases=databases)
    assert (item.outcome, item.steps[0].result) == (Outcome.UNKNOWN, Result.UNKNOWN)
    assert databases.committed == []
    assert cloud.world.picture() == before


def test_an_answer_lost_after_the_effect_is_found_out(cloud: FakeCloud) -> None:
    volume = orphan(cloud)
    cloud.lose("delete_attachment", after=True)
    item = unstick(cloud, volume)
    assert (item.outcome, item.steps[0].result) == (Outcome.REPAIRED, Result.UNKNOWN)
    assert state(cloud, volume) == FREE


def test_a_backend_that_is_dead_and_not_yet_noticed_is_unknown(cloud: FakeCloud) -> None:
    volume = orphan(cloud)
    cloud.kill_backend(noticed=False)
    databases = FakeDatabases(cloud)
    item = unstick(cloud, volume, mode=Mode.COMMIT, databases=databases)
    assert item.outcome is Outcome.UNKNOWN
    assert databases.committed == []


def test_a_down_cell_proves_nothing(cloud: FakeCloud) -> None:
    volume = orphan(cloud)
    cloud.add_host("cmp-9", "cell2")
    cloud.cell_down("cell2")
    before = cloud.world.picture()
    for databases in (True, False):
        item = unstick(cloud, volume, databases=databases, mode=Mode.COMMIT)
        assert item.outcome in (Outcome.UNKNOWN, Outcome.REFUSED, Outcome.HEALTHY), item.reason
    assert cloud.world.picture() == before


def test_a_server_that_only_the_database_has_is_not_gone(cloud: FakeCloud) -> None:
    """nova's API answers 404 for a server whose mapping to a cell is lost, although the cell has it."""
    volume, server = cloud.attached()
    before = cloud.world.picture()
    cloud.drop_mapping(server, volume)
    databases = FakeDatabases(cloud)
    row = cloud.world.servers.pop(server)
    cloud.lost_to_the_api = row  # type: ignore[attr-defined]
    real = databases.read

    def read(name: str, params: dict[str, object], **more: object) -> list[dict[str, object]]:
        if name == "read_server_live.nova" and params["server_id"] == server:
            return [{"uuid": server, "cell": "cell1"}]
        return real(name, params, **more)  # type: ignore[arg-type]

    databases.read = read  # type: ignore[assignment,method-assign]
    item = unstick(cloud, volume, databases=databases, mode=Mode.COMMIT)
    assert item.outcome is Outcome.REFUSED
    assert before != cloud.world.picture()
    assert len(cloud.world.volumes[volume].live) == 1


@pytest.mark.parametrize("migration", ["migrating", "starting", "completing"])
def test_no_sql_during_a_volume_migration(cloud: FakeCloud, migration: str) -> None:
    volume = orphan(cloud)
    cloud.kill_backend()
    cloud.set_volume(volume, "in-use", migration_status=migration)
    assert_refused(cloud, volume, "volume-in-operation", "migrating")


def test_a_commit_whose_fate_is_not_known_is_unknown(cloud: FakeCloud) -> None:
    volume = orphan(cloud)
    cloud.kill_backend()
    for lost in ("before", "after"):
        databases = FakeDatabases(cloud)
        databases.lost = lost
        (item,) = Driver(cloud, mode=Mode.COMMIT, databases=databases).named(volume)
        assert item.outcome is Outcome.UNKNOWN


def test_rows_that_changed_under_the_commit_are_left(cloud: FakeCloud) -> None:
    volume = orphan(cloud)
    cloud.kill_backend()
    databases = FakeDatabases(cloud)
    commit = databases.commit

    def race(*arguments: object, **more: object) -> object:
        cloud.set_volume(volume, "detaching")
        return commit(*arguments, **more)  # type: ignore[arg-type]

    databases.commit = race  # type: ignore[assignment,method-assign]
    item = unstick(cloud, volume, mode=Mode.COMMIT, databases=databases)
    assert item.outcome is Outcome.REFUSED
    assert len(cloud.world.volumes[volume].live) == 1


def test_an_attachment_that_another_server_maps_stays(cloud: FakeCloud) -> None:
    """cinder wrote one server down, nova maps it in another: whichever is right, somebody uses it."""
    volume, server = cloud.attached()
    gone = cloud.add_server()
    cloud.world.volumes[volume].live[0].server_id = gone
    cloud.lose_server(gone)
    unstick(cloud, volume, mode=Mode.COMMIT)
    assert state(cloud, volume) == IN_USE
    assert cloud.world.holds == {(server, "cmp-1", volume)}


@pytest.mark.parametrize("kind", ["reserved", "gone"])
def test_what_alone_keeps_a_mapped_volume_from_being_free_stays(cloud: FakeCloud, kind: str) -> None:
    """cinder ignores failed attachments when it recomputes the state of the volume."""
    volume, server = cloud.attached()
    cloud.world.volumes[volume].live[0].status = "error_attaching"
    other = server if kind == "reserved" else cloud.add_server()
    cloud.add_attachment(volume, other, "attached" if kind == "gone" else kind, connected=kind == "gone")
    if kind == "gone":
        cloud.lose_server(other)
    assert_refused(cloud, volume, ORPHANED, server, "detach it from the server first")


def test_beside_a_mapped_one_that_failed_none_is_second(cloud: FakeCloud) -> None:
    volume, server = cloud.attached()
    cloud.world.volumes[volume].live[0].status = "error_attaching"
    cloud.add_attachment(volume, server)
    assert_refused(cloud, volume, "volume-attachment-unproven", "stop the server")


def test_an_attachment_that_changed_just_now_is_young_though_the_volume_is_old(cloud: FakeCloud) -> None:
    volume = orphan(cloud)
    databases = FakeDatabases(cloud)
    read = databases.read

    def with_times(name: str, params: dict[str, object], *, cell: str | None = None) -> list[dict[str, object]]:
        now = datetime.now(UTC).replace(tzinfo=None)
        return [r | ({"attachment_changed_at": now} if "attachment_changed_at" in r else {}) for r in read(name, params, cell=cell)]

    databases.read = with_times  # type: ignore[method-assign,assignment]
    item = unstick(cloud, volume, databases=databases)
    assert (item.outcome, "--older-than" in item.reason) == (Outcome.REFUSED, True)
