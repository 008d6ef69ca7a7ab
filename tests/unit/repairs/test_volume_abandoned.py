"""A volume that is not free and that nobody has."""

import pytest

from opsfix.model import Mode, Outcome
from tests.fakes.cloud import FakeCloud
from tests.fakes.databases import FakeDatabases
from tests.unit.driving import FREE, assert_refused, assert_repaired, state, unstick

ABANDONED = "volume-abandoned"


@pytest.mark.parametrize("databases", [True, False])
@pytest.mark.parametrize("attach_status", ["attached", "detached"])
@pytest.mark.parametrize("status", ["attaching", "detaching", "reserved", "in-use"])
def test_it_becomes_available(cloud: FakeCloud, status: str, attach_status: str, databases: bool) -> None:
    volume = cloud.add_volume(status=status, attach_status=attach_status)
    assert_repaired(cloud, volume, ABANDONED, databases=databases)


def test_it_becomes_available_by_sql_where_cinder_refuses(cloud: FakeCloud) -> None:
    volume = cloud.add_volume(status="detaching")
    cloud.refuse("reset_volume", 403, "Policy doesn't allow volume_extension:volume_admin_actions:reset_status")
    cloud.work_on(volume)
    item = unstick(cloud, volume)
    assert item.outcome is Outcome.NEEDS_COMMIT
    assert state(cloud, volume) == "detaching/detached, 0 attachments, 0 mappings"
    item = unstick(cloud, volume, mode=Mode.COMMIT)
    assert (item.outcome, item.by, state(cloud, volume)) == (Outcome.REPAIRED, "sql", FREE)
    assert cloud.world.workers == {}


def test_without_a_database_a_refusal_says_what_the_sql_would_need(cloud: FakeCloud) -> None:
    volume = cloud.add_volume(status="detaching")
    cloud.refuse("reset_volume", 403, "Policy doesn't allow it")
    item = unstick(cloud, volume, mode=Mode.COMMIT, databases=False)
    assert item.outcome is Outcome.REFUSED
    assert "needs the database of cinder" in item.reason


@pytest.mark.parametrize("mode", [Mode.APPLY, Mode.COMMIT])
@pytest.mark.parametrize(("after", "outcome"), [(False, Outcome.UNKNOWN), (True, Outcome.REPAIRED)])
def test_a_lost_answer_never_leads_to_sql(cloud: FakeCloud, mode: Mode, after: bool, outcome: Outcome) -> None:
    volume = cloud.add_volume(status="detaching")
    cloud.lose("reset_volume", after=after)
    databases = FakeDatabases(cloud)
    assert unstick(cloud, volume, mode=mode, databases=databases).outcome is outcome
    assert databases.committed == []


def test_an_attachment_made_meanwhile_stops_the_sql(cloud: FakeCloud) -> None:
    volume, server = cloud.add_volume(status="detaching"), cloud.add_server()
    databases = FakeDatabases(cloud)
    cloud.on("reset_volume", lambda: cloud.attach(volume, server) and None)
    cloud.faults.changes.clear()
    cloud.refuse("reset_volume", 403, "no")
    item = unstick(cloud, volume, mode=Mode.COMMIT, databases=databases)
    assert databases.committed == []
    assert item.outcome is not Outcome.UNKNOWN


@pytest.mark.parametrize("databases", [True, False])
def test_one_that_nova_maps_is_another_matter(cloud: FakeCloud, databases: bool) -> None:
    volume, server = cloud.add_volume(status="detaching"), cloud.add_server()
    cloud.add_mapping(server, volume)
    assert_refused(cloud, volume, "volume-mapping-dangling", server, databases=databases)


@pytest.mark.parametrize("databases", [True, False])
def test_a_down_cell_may_have_a_mapping(cloud: FakeCloud, databases: bool) -> None:
    volume = cloud.add_volume(status="detaching")
    cloud.add_server(cell="cell2", host="cmp-2")
    cloud.cell_down("cell2")
    before = cloud.world.picture()
    item = unstick(cloud, volume, databases=databases, mode=Mode.COMMIT)
    if databases:
        assert item.outcome is Outcome.REPAIRED, "nova's databases of all cells are a complete answer"
    else:
        assert item.outcome is Outcome.UNKNOWN
        assert cloud.world.picture() == before


def test_a_young_one_is_left_alone(cloud: FakeCloud) -> None:
    volume = cloud.add_volume(status="detaching", age=60)
    assert_refused(cloud, volume, ABANDONED, "less than --older-than ago")
