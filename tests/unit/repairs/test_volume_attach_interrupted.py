"""Attaches that stopped half-way, with and without a host that got the disk."""

import pytest

from opsfix.model import Mode, Outcome
from tests.fakes.cloud import FakeCloud
from tests.fakes.databases import FakeDatabases
from tests.unit.driving import FREE, assert_refused, assert_repaired, state, unchanged, unstick

INTERRUPTED = "volume-attach-interrupted"
NEVER = "volume-attach-never-started"


def half(
    cloud: FakeCloud, *, connected: bool = True, status: str = "attaching", root: bool = False, **server: object
) -> str:
    """An attach that stopped."""
    volume, guest = cloud.add_volume(), cloud.add_server(**server)
    attachment = cloud.add_attachment(volume, guest, "attaching" if connected else "reserved", connected=connected)
    cloud.add_mapping(guest, volume, attachment, connected=connected, root=root)
    cloud.set_volume(volume, status, attach_status="attaching" if connected else "detached")
    return volume


def guest_of(cloud: FakeCloud, volume: str) -> str:
    """The server that has the attachment."""
    return str(cloud.world.volumes[volume].live[0].server_id)


@pytest.mark.parametrize("databases", [True, False])
@pytest.mark.parametrize("status", ["attaching", "reserved", "available"])
def test_one_that_a_host_took_up_is_completed_and_detached(cloud: FakeCloud, status: str, databases: bool) -> None:
    volume = half(cloud, status=status)
    assert_repaired(cloud, volume, INTERRUPTED, databases=databases)
    assert cloud.world.holds == set()


@pytest.mark.parametrize("status", ["attaching", "reserved", "available"])
def test_one_that_no_host_took_up_goes_by_sql_and_then_api(cloud: FakeCloud, status: str) -> None:
    volume = half(cloud, connected=False, status=status)
    assert_repaired(cloud, volume, NEVER, by="sql")


def test_without_databases_one_that_no_host_took_up_says_what_it_needs(cloud: FakeCloud) -> None:
    volume = half(cloud, connected=False)
    for mode in Mode:
        with unchanged(cloud):
            item = unstick(cloud, volume, mode=mode, databases=False)
        assert (item.finding, item.outcome) == (NEVER, Outcome.REFUSED)
        assert "nova" in item.reason


def test_connection_data_in_novas_mapping_forbids_the_sql(cloud: FakeCloud) -> None:
    volume = half(cloud, connected=False)
    cloud.world.servers[guest_of(cloud, volume)].live[0].connected = True
    assert_refused(cloud, volume, NEVER, "the host had the disk")


@pytest.mark.parametrize("vm_state", ["shelved", "shelved_offloaded"])
def test_the_reservation_of_a_shelved_server_is_as_it_should_be(cloud: FakeCloud, vm_state: str) -> None:
    volume = half(cloud, connected=False, status="reserved", vm_state=vm_state)
    with unchanged(cloud):
        assert unstick(cloud, volume, mode=Mode.COMMIT).outcome is Outcome.HEALTHY


@pytest.mark.parametrize(("connected", "symptom"), [(True, INTERRUPTED), (False, NEVER)])
class TestGuards:
    """Both repairs have the same."""

    def test_a_boot_disk_is_refused(self, cloud: FakeCloud, connected: bool, symptom: str) -> None:
        assert_refused(cloud, half(cloud, connected=connected, root=True), symptom, "boot disk")

    def test_several_servers_are_refused(self, cloud: FakeCloud, connected: bool, symptom: str) -> None:
        volume, other = half(cloud, connected=connected), cloud.add_server()
        attachment = cloud.add_attachment(volume, other, "attaching" if connected else "reserved", connected=connected)
        cloud.add_mapping(other, volume, attachment, connected=connected)
        assert_refused(cloud, volume, symptom, "2 servers map the volume")

    def test_a_server_on_the_move_is_refused(self, cloud: FakeCloud, connected: bool, symptom: str) -> None:
        volume = half(cloud, connected=connected)
        cloud.add_migration(guest_of(cloud, volume))
        assert_refused(cloud, volume, symptom, "being built or moved")

    def test_a_server_under_construction_is_refused(self, cloud: FakeCloud, connected: bool, symptom: str) -> None:
        assert_refused(cloud, half(cloud, connected=connected, vm_state="building"), symptom, "being built")

    def test_a_dead_host_is_refused(self, cloud: FakeCloud, connected: bool, symptom: str) -> None:
        volume = half(cloud, connected=connected)
        cloud.kill_host("cmp-1")
        assert_refused(cloud, volume, symptom, "--fenced cmp-1")

    def test_a_busy_server_is_refused(self, cloud: FakeCloud, connected: bool, symptom: str) -> None:
        assert_refused(cloud, half(cloud, connected=connected, task_state="spawning"), symptom, "busy (spawning)")

    def test_a_server_that_does_not_answer_is_refused(self, cloud: FakeCloud, connected: bool, symptom: str) -> None:
        volume = half(cloud, connected=connected)
        cloud.cell_down()
        with unchanged(cloud):
            item = unstick(cloud, volume, mode=Mode.COMMIT)
        assert item.outcome in (Outcome.REFUSED, Outcome.UNKNOWN)


def test_a_server_in_error_is_refused(cloud: FakeCloud) -> None:
    assert_refused(cloud, half(cloud, vm_state="error"), INTERRUPTED, "vm_state error")


def test_several_attachments_that_one_server_maps_are_refused(cloud: FakeCloud) -> None:
    volume = half(cloud)
    server = guest_of(cloud, volume)
    cloud.add_mapping(server, volume, cloud.add_attachment(volume, server, "attaching"))
    assert_refused(cloud, volume, INTERRUPTED, "several attachments")


def test_a_server_that_becomes_busy_before_the_commit_keeps_its_mapping(cloud: FakeCloud) -> None:
    volume = half(cloud, connected=False)
    databases = FakeDatabases(cloud)
    commit = databases.commit

    def race(*arguments: object, **more: object) -> object:
        cloud.set_server(guest_of(cloud, volume), task_state="spawning")
        return commit(*arguments, **more)  # type: ignore[arg-type]

    databases.commit = race  # type: ignore[assignment,method-assign]
    assert unstick(cloud, volume, mode=Mode.COMMIT, databases=databases).outcome is Outcome.REFUSED
    assert state(cloud, volume) == "attaching/detached, 1 attachments, 1 mappings"


@pytest.mark.parametrize("call", ["complete_attachment", "detach_volume"])
@pytest.mark.parametrize("after", [False, True])
def test_a_lost_answer_never_leads_to_sql(cloud: FakeCloud, call: str, after: bool) -> None:
    volume = half(cloud)
    cloud.lose(call, after=after)
    databases = FakeDatabases(cloud)
    item = unstick(cloud, volume, mode=Mode.COMMIT, databases=databases)
    assert (state(cloud, volume) == FREE) == (item.outcome is Outcome.REPAIRED)
    assert item.outcome in (Outcome.REPAIRED, Outcome.UNKNOWN)
    assert databases.committed == []


@pytest.mark.parametrize(("connected", "symptom"), [(True, INTERRUPTED), (False, NEVER)])
def test_two_mappings_of_one_attachment_are_refused(cloud: FakeCloud, connected: bool, symptom: str) -> None:
    volume = half(cloud, connected=connected)
    attachment = cloud.world.volumes[volume].live[0].id
    cloud.add_mapping(guest_of(cloud, volume), volume, attachment, connected=connected)
    assert_refused(cloud, volume, symptom, "twice")
