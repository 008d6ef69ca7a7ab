"""Servers on hosts that are down, fenced or not."""

import pytest

from opsfix.model import Mode, Outcome
from tests.fakes.cloud import FakeCloud
from tests.fakes.databases import FakeDatabases
from tests.fakes.rows import ago
from tests.unit.driving import FREE, assert_refused, assert_repaired, state, unchanged, unstick

FENCED = "volume-host-fenced"
ON = {"fenced": ["cmp-1"]}


def detaching_from_a_dead_host(cloud: FakeCloud, **options: object) -> tuple[str, str]:
    """A detach that its host never began."""
    volume, server = cloud.attached(**options)  # type: ignore[arg-type]
    cloud.set_volume(volume, "detaching")
    cloud.kill_host("cmp-1", off=True)
    return volume, server


def test_both_sides_go_by_sql(cloud: FakeCloud) -> None:
    volume, _ = detaching_from_a_dead_host(cloud)
    assert_repaired(cloud, volume, FENCED, by="sql", **ON)


@pytest.mark.parametrize("status", ["attaching", "reserved"])
def test_a_half_made_attach_goes_by_sql(cloud: FakeCloud, status: str) -> None:
    volume, server = cloud.add_volume(), cloud.add_server()
    attachment = cloud.add_attachment(volume, server, status, connected=status == "attaching")
    cloud.add_mapping(server, volume, attachment)
    cloud.set_volume(volume, status, attach_status=status)
    cloud.kill_host("cmp-1", off=True)
    assert_repaired(cloud, volume, FENCED, by="sql", **ON)


@pytest.mark.parametrize("status", ["available", "in-use", "detaching"])
def test_a_dangling_mapping_goes_by_sql(cloud: FakeCloud, status: str) -> None:
    volume, server = cloud.add_volume(status=status), cloud.add_server()
    cloud.add_mapping(server, volume)
    cloud.kill_host("cmp-1", off=True)
    assert_repaired(cloud, volume, FENCED, by="sql", **ON)


def test_a_dead_host_that_nobody_fenced_is_refused(cloud: FakeCloud) -> None:
    volume, _ = detaching_from_a_dead_host(cloud)
    assert_refused(cloud, volume, "volume-detach-hung", "cmp-1", "down", "--fenced cmp-1")
    assert_refused(cloud, volume, "volume-detach-hung", "--fenced cmp-1", fenced=["cmp-2", "CMP-1"])


def test_a_host_said_to_be_fenced_that_is_up_is_refused(cloud: FakeCloud) -> None:
    volume, _ = cloud.attached()
    cloud.set_volume(volume, "detaching")
    assert_refused(cloud, volume, "volume-detach-hung", "up, yet said to be fenced", **ON)


def test_without_databases_it_says_what_it_needs(cloud: FakeCloud) -> None:
    volume, _ = detaching_from_a_dead_host(cloud)
    for mode in (Mode.APPLY, Mode.COMMIT):
        item = unstick(cloud, volume, mode=mode, databases=False, **ON)
        assert item.outcome is Outcome.REFUSED
        assert state(cloud, volume) == "detaching/attached, 1 attachments, 1 mappings"


def test_a_healthy_volume_on_a_fenced_host_is_left_alone(cloud: FakeCloud) -> None:
    volume, _ = cloud.attached()
    cloud.kill_host("cmp-1", off=True)
    with unchanged(cloud):
        assert unstick(cloud, volume, mode=Mode.COMMIT, **ON).outcome is Outcome.HEALTHY


def test_a_boot_disk_is_never_cut(cloud: FakeCloud) -> None:
    volume, _ = detaching_from_a_dead_host(cloud, root=True)
    item = unstick(cloud, volume, mode=Mode.COMMIT, **ON)
    assert (item.finding, item.outcome) == ("volume-detach-impossible", Outcome.REPAIRED)
    assert state(cloud, volume) == "in-use/attached, 1 attachments, 1 mappings"


def test_a_server_on_the_move_is_refused(cloud: FakeCloud) -> None:
    volume, server = detaching_from_a_dead_host(cloud)
    cloud.add_migration(server)
    assert_refused(cloud, volume, FENCED, "being built or moved", **ON)


def test_several_servers_are_refused(cloud: FakeCloud) -> None:
    volume, _ = cloud.attached(volume={"multiattach": True})
    other = cloud.add_server()
    cloud.attach(volume, other)
    cloud.set_volume(volume, "detaching")
    cloud.kill_host("cmp-1", off=True)
    assert_refused(cloud, volume, FENCED, "2 servers map the volume", **ON)


def test_a_host_that_comes_back_before_the_commit_keeps_its_mapping(cloud: FakeCloud) -> None:
    volume, _ = detaching_from_a_dead_host(cloud)
    databases = FakeDatabases(cloud)
    cloud.refuse("detach_volume", 409, "Service is unavailable at this time.")
    commit = databases.commit

    def back(*arguments: object, **more: object) -> object:
        cloud.world.services[-1].updated_at = ago(0)
        return commit(*arguments, **more)  # type: ignore[arg-type]

    databases.commit = back  # type: ignore[assignment,method-assign]
    item = unstick(cloud, volume, mode=Mode.COMMIT, databases=databases, **ON)
    assert item.outcome is Outcome.REFUSED
    assert state(cloud, volume) == "detaching/attached, 1 attachments, 1 mappings"


def test_the_cell_must_answer(cloud: FakeCloud) -> None:
    volume, _ = detaching_from_a_dead_host(cloud)
    cloud.cell_down()
    before = cloud.world.picture()
    item = unstick(cloud, volume, mode=Mode.COMMIT, **ON)
    assert item.outcome in (Outcome.REFUSED, Outcome.UNKNOWN)
    assert cloud.world.picture() == before


def test_the_dead_backend_of_a_fenced_host_is_no_obstacle(cloud: FakeCloud) -> None:
    volume, _ = detaching_from_a_dead_host(cloud)
    cloud.kill_backend()
    item = unstick(cloud, volume, mode=Mode.COMMIT, **ON)
    assert (item.outcome, item.by, state(cloud, volume)) == (Outcome.REPAIRED, "sql", FREE)


def test_two_mappings_of_one_server_are_refused(cloud: FakeCloud) -> None:
    volume, server = detaching_from_a_dead_host(cloud)
    cloud.add_mapping(server, volume, cloud.world.volumes[volume].live[0].id)
    assert_refused(cloud, volume, FENCED, "twice", **ON)
