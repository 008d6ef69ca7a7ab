"""The engine's way through a run, whatever the repair."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from opsfix.errors import CloudRefused, CloudUnknown, ConfigError, ExitCode, JournalError
from opsfix.finders import stuck_volumes
from opsfix.guards import is_
from opsfix.model import Item, Mode, Outcome, Result
from opsfix.scene import Scene
from tests.fakes.cloud import FakeCloud
from tests.fakes.databases import FakeDatabases
from tests.fakes.glance import ImageCloud
from tests.unit import purging
from tests.unit.driving import FREE, IN_USE, Driver, state, unchanged, unstick


def stuck(cloud: FakeCloud, count: int = 1, **columns: object) -> list[str]:
    """Volumes that nobody has and that are not free."""
    return [cloud.add_volume(status="detaching", **columns) for _ in range(count)]


# who is looked at


def test_a_healthy_volume_that_was_named_is_reported_healthy(cloud: FakeCloud) -> None:
    volume, _ = cloud.attached()
    with unchanged(cloud):
        item = unstick(cloud, volume)
    assert (item.outcome, item.finding, item.by, item.steps) == (Outcome.HEALTHY, None, None, ())


def test_a_volume_that_does_not_exist_was_not_found(cloud: FakeCloud) -> None:
    item = unstick(cloud, "no-such-volume")
    assert (item.outcome, item.reason) == (Outcome.FAILED, "no volume with this id was found")


@pytest.mark.parametrize("databases", [True, False])
def test_all_takes_every_stuck_one_and_no_other(cloud: FakeCloud, databases: bool) -> None:
    broken = stuck(cloud, 5)
    cloud.attached()
    cloud.add_volume()
    items = Driver(cloud, databases=databases).all()
    assert [(i.id, i.outcome) for i in items] == [(v, Outcome.REPAIRED) for v in sorted(broken)]
    assert [state(cloud, v) for v in broken] == [FREE] * 5
    assert Driver(cloud, databases=databases).all() == []


def test_all_leaves_young_ones_alone_and_naming_them_is_refused(cloud: FakeCloud) -> None:
    (young,) = stuck(cloud, age=600)
    (old,) = stuck(cloud, age=1000)
    assert [i.id for i in Driver(cloud).all()] == [old]
    with unchanged(cloud):
        assert unstick(cloud, young, mode=Mode.COMMIT).outcome is Outcome.REFUSED
    assert unstick(cloud, young, older_than=timedelta(minutes=5)).outcome is Outcome.REPAIRED


def test_older_than_nothing_takes_what_changed_this_second(cloud: FakeCloud) -> None:
    (volume,) = stuck(cloud, age=0)
    assert unstick(cloud, volume, older_than=timedelta(0)).outcome is Outcome.REPAIRED


def test_the_age_is_that_of_the_last_change_never_of_the_creation(cloud: FakeCloud) -> None:
    (volume,) = stuck(cloud, age=60)
    assert unstick(cloud, volume).outcome is Outcome.REFUSED
    cloud.world.volumes[volume].updated_at = None
    assert unstick(cloud, volume).outcome is Outcome.REPAIRED


def test_an_attach_that_begins_while_we_look_is_left_alone(cloud: FakeCloud) -> None:
    """Our reads see two moments: no attachment yet, and a mapping already."""
    volume, server = cloud.add_volume(), cloud.add_server()

    def attach() -> None:
        cloud.attach(volume, server)
        cloud.world.volumes[volume].touch()

    cloud.on("attachments", attach, after=True)
    driver = Driver(cloud, mode=Mode.COMMIT)
    run = driver.run()
    findings = run.find([volume], named=True)
    assert findings[0].planned is not None
    assert findings[0].planned.young or findings[0].planned.repair is None
    run.repair(findings)
    assert state(cloud, volume) == IN_USE


def test_what_repaired_itself_meanwhile_is_healthy(cloud: FakeCloud) -> None:
    (volume,) = stuck(cloud)
    run = Driver(cloud).run()
    findings = [replace(f, seen=0.0) for f in run.find([volume], named=False)]
    cloud.set_volume(volume, "available")
    with unchanged(cloud):
        assert run.repair(findings)[0].outcome is Outcome.HEALTHY


def test_what_is_gone_meanwhile_is_not_repaired_by_us(cloud: FakeCloud) -> None:
    (volume,) = stuck(cloud)
    run = Driver(cloud).run()
    findings = [replace(f, seen=0.0) for f in run.find([volume], named=False)]
    cloud.world.volumes[volume].deleted = True
    assert run.repair(findings)[0].outcome is Outcome.FAILED


# findings


def candidates(cloud: FakeCloud, databases: bool) -> set[str]:
    """What --all would look at."""
    return stuck_volumes(Scene(cloud, FakeDatabases(cloud) if databases else None))


def every_kind(cloud: FakeCloud) -> tuple[set[str], set[str]]:
    """One volume in every way broken, and healthy ones; returns both sets."""
    unsettled = ("creating", "deleting", "error_deleting", "uploading", "maintenance")
    broken = {cloud.add_volume(status=status) for status in unsettled}
    broken |= set(stuck(cloud, 2)) | {cloud.add_volume(status="in-use")}
    for change in ("lose_server", "second", "available", "dangling", "dangling in-use"):
        volume, server = cloud.attached()
        broken.add(volume)
        if change == "lose_server":
            cloud.lose_server(server)
        elif change == "second":
            cloud.add_attachment(volume, server)
        elif change == "available":
            cloud.set_volume(volume, "available")
        elif change == "dangling":
            cloud.drop_attachment(cloud.world.volumes[volume].live[0].id)
            cloud.set_volume(volume, "available", attach_status="detached")
        else:
            cloud.drop_attachment(cloud.world.volumes[volume].live[0].id)
    healthy = {cloud.add_volume(), cloud.add_volume(status="error"), cloud.attached()[0], cloud.attached(root=True)[0]}
    shared, _ = cloud.attached(volume={"multiattach": True})
    cloud.attach(shared, cloud.add_server())
    return broken, healthy | {shared}


def test_databases_and_api_find_the_same(cloud: FakeCloud) -> None:
    broken, healthy = every_kind(cloud)
    by_database, by_api = candidates(cloud, True), candidates(cloud, False)
    assert by_database == by_api == broken
    assert not by_api & healthy


def test_databases_and_api_find_the_same_where_a_volume_in_use_is_not_what_nova_says(cloud: FakeCloud) -> None:
    """Two of the states that only a comparison of all attachments with all mappings shows."""
    volume, _ = cloud.attached()
    cloud.add_mapping(cloud.add_server(), volume)
    other, server = cloud.attached()
    cloud.drop_mapping(server, other)
    assert candidates(cloud, True) == candidates(cloud, False)


def test_every_cell_is_searched(cloud: FakeCloud) -> None:
    volume, _ = cloud.attached(cell="cell2", host="cmp-2")
    cloud.drop_attachment(cloud.world.volumes[volume].live[0].id)
    cloud.set_volume(volume, "available")
    assert candidates(cloud, True) == candidates(cloud, False) == {volume}


def test_without_databases_a_down_cell_ends_the_search(cloud: FakeCloud) -> None:
    cloud.attached()
    cloud.cell_down()
    with pytest.raises(Exception, match="not complete"):
        candidates(cloud, False)


@pytest.mark.parametrize("databases", [True, False])
def test_ten_thousand_healthy_volumes(cloud: FakeCloud, databases: bool) -> None:
    for _ in range(100):
        server = cloud.add_server()
        for _ in range(50):
            cloud.attach(cloud.add_volume(), server)
    for _ in range(5000):
        cloud.add_volume()
    broken = stuck(cloud, 3)
    with unchanged(cloud):
        items = Driver(cloud, databases=databases, mode=Mode.DRY_RUN).all()
    assert [i.id for i in items] == sorted(broken)


# modes


@pytest.mark.parametrize("databases", [True, False])
def test_a_dry_run_changes_nothing_of_anything(cloud: FakeCloud, databases: bool) -> None:
    every_kind(cloud)
    with unchanged(cloud):
        items = Driver(cloud, mode=Mode.DRY_RUN, databases=databases, fenced=["cmp-1"]).all()
    assert {s.result for i in items for s in i.steps} <= {Result.DRY_RUN, Result.SKIPPED}
    assert {i.outcome for i in items} <= {Outcome.NEEDS_COMMIT, Outcome.REFUSED}


@pytest.mark.parametrize("mode", [Mode.APPLY, Mode.COMMIT])
@pytest.mark.parametrize("databases", [True, False])
def test_after_a_run_a_second_one_has_nothing_left_to_repair(cloud: FakeCloud, mode: Mode, databases: bool) -> None:
    every_kind(cloud)
    first = {i.id: i.outcome for i in Driver(cloud, mode=mode, databases=databases).all()}
    again = Driver(cloud, mode=mode, databases=databases, older_than=timedelta(0)).named(*first)
    for item in again:
        was = first[item.id]
        if cloud.world.volumes[item.id].deleted:
            assert was is Outcome.REPAIRED
        else:
            assert item.outcome is (Outcome.HEALTHY if was is Outcome.REPAIRED else was)


def test_a_refused_run_names_every_finding_and_changes_nothing(cloud: FakeCloud) -> None:
    volumes = stuck(cloud, 60)
    run = Driver(cloud, mode=Mode.COMMIT).run()
    findings = run.find(volumes, named=False)
    with unchanged(cloud):
        items = run.refuse(findings, "60 findings, and the limit is 50")
    assert {i.id for i in items} == set(volumes)
    assert {(i.outcome, i.reason, i.finding) for i in items} == {
        (Outcome.REFUSED, "60 findings, and the limit is 50", "volume-abandoned")
    }


# what cannot be read


@pytest.mark.parametrize("databases", [True, False])
@pytest.mark.parametrize("call", ["volume", "attachments", "compute_services", "volume_services"])
def test_what_cannot_be_read_is_unknown_and_left_alone(cloud: FakeCloud, call: str, databases: bool) -> None:
    (volume,) = stuck(cloud)
    cloud.lose(call, times=None)
    with unchanged(cloud):
        item = unstick(cloud, volume, mode=Mode.COMMIT, databases=databases)
    assert item.outcome is Outcome.UNKNOWN
    assert "timed out" in item.reason


@pytest.mark.parametrize("call", ["server", "mappings", "migrations"])
def test_a_server_that_cannot_be_read_is_unknown(cloud: FakeCloud, call: str) -> None:
    volume, _ = cloud.attached()
    cloud.set_volume(volume, "detaching")
    cloud.lose(call, times=None)
    with unchanged(cloud):
        assert unstick(cloud, volume, mode=Mode.COMMIT, databases=False).outcome is Outcome.UNKNOWN


def test_a_read_that_is_forbidden_is_unknown(cloud: FakeCloud) -> None:
    (volume,) = stuck(cloud)
    cloud.refuse("attachments", 403, "Policy doesn't allow volume:attachment_list")
    with unchanged(cloud):
        item = unstick(cloud, volume)
    assert item.outcome is Outcome.UNKNOWN
    assert "Policy doesn't allow" in item.reason


def test_one_that_cannot_be_read_does_not_stop_the_others(cloud: FakeCloud) -> None:
    volumes = stuck(cloud, 8)
    real = cloud.cinder.found

    def found(volume_id: str) -> object:
        if volume_id == volumes[3]:
            raise CloudRefused(403, "no")
        return real(volume_id)

    cloud.cinder.found = found  # type: ignore[assignment,method-assign]
    items = Driver(cloud).named(*volumes)
    assert [i.outcome for i in items].count(Outcome.REPAIRED) == 7
    assert items[3].outcome is Outcome.UNKNOWN


def test_the_effect_of_a_lost_call_is_awaited_until_the_deadline(cloud: FakeCloud) -> None:
    (volume,) = stuck(cloud)

    def lost() -> None:
        cloud.world.later(0.4, lambda: cloud.cinder.reset_status(volume, "available", "detached"))
        raise CloudUnknown("timed out")

    cloud.on("reset_volume", lost)
    item = unstick(cloud, volume, deadline=5.0)
    assert (item.outcome, state(cloud, volume)) == (Outcome.REPAIRED, FREE)


def test_a_call_that_was_accepted_without_effect_is_a_failure(cloud: FakeCloud) -> None:
    (volume,) = stuck(cloud)
    cloud.cinder.reset_status = lambda *_: None  # type: ignore[assignment,method-assign]
    item = unstick(cloud, volume, mode=Mode.COMMIT)
    assert item.outcome is Outcome.FAILED
    assert "every call was accepted" in item.reason
    assert all(s.kind == "api" for s in item.steps)


# the journal


def test_every_change_is_recorded_before_it_is_sent(cloud: FakeCloud) -> None:
    volume, server = cloud.attached()
    cloud.lose_server(server)
    driver = Driver(cloud)
    seen: list[list[str]] = []
    cloud.on("delete_attachment", lambda: seen.append([event for _, event, _ in driver.events]))
    driver.named(volume)
    assert seen[0][-1] == "api-before"
    assert [event for _, event, _ in driver.events] == ["plan", "api-before", "api-after", "item-end"]


def test_a_change_that_cannot_be_recorded_is_not_sent(cloud: FakeCloud) -> None:
    volume, other = stuck(cloud, 2)

    class Full:
        def append(self, event: tuple[str, str, dict[str, object]]) -> None:
            if event[1] == "api-before":
                raise JournalError("No space left on device")

    run = Driver(cloud, events=Full()).run()  # type: ignore[arg-type]
    with unchanged(cloud):
        items = run.repair(run.find([volume, other], named=True))
    assert {(i.outcome, i.by) for i in items} == {(Outcome.REFUSED, None)}
    assert any("No space" in i.reason for i in items)
    assert set(run.raised) == {ExitCode.FAILED}


def test_a_defect_ends_the_run_with_a_report(cloud: FakeCloud) -> None:
    volumes = stuck(cloud, 3)
    driver = Driver(cloud, workers=1)
    cloud.on("roll_detaching", lambda: None)
    cloud.on("reset_volume", lambda: {}["no such key"], after=True)
    run = driver.run()
    items = run.repair(run.find(volumes, named=True))
    assert [i.outcome for i in items] == [Outcome.UNKNOWN, Outcome.REFUSED, Outcome.REFUSED]
    assert run.raised == [ExitCode.BUG]


@pytest.mark.parametrize(("error", "code"), [(KeyError("no key"), ExitCode.BUG), (ConfigError("no"), ExitCode.CONNECTION)])
def test_what_ends_a_search_ends_the_run_with_a_report(cloud: FakeCloud, error: Exception, code: ExitCode) -> None:
    volumes = stuck(cloud, 3)

    def fail() -> None:
        raise error

    cloud.on("volume", fail)
    run = Driver(cloud, workers=1, databases=False).run()
    with unchanged(cloud):
        items = run.find_and_repair(volumes, named=True)
    assert len(items) == 3
    assert "no" in items[0].reason
    assert run.raised == [code]


def freed_and_taken(cloud: FakeCloud, status: str) -> Item:
    """A stale attachment is removed, and somebody takes the volume the moment it is free."""
    volume, server = cloud.attached()
    cloud.lose_server(server)
    cloud.set_volume(volume, "detaching")
    newcomer = cloud.add_server()

    def take() -> None:
        if status == "in-use":
            cloud.attach(volume, newcomer)
            return
        attachment = cloud.add_attachment(volume, newcomer, status, connected=False)
        cloud.add_mapping(newcomer, volume, attachment, connected=False)
        cloud.set_volume(volume, status, attach_status=status)

    cloud.on("delete_attachment", take, after=True)
    item = unstick(cloud, volume, mode=Mode.COMMIT)
    assert state(cloud, volume).endswith("1 attachments, 1 mappings")
    return item


def test_who_takes_a_freed_volume_at_once_keeps_it(cloud: FakeCloud) -> None:
    assert freed_and_taken(cloud, "in-use").outcome is Outcome.REPAIRED


def test_who_is_still_taking_a_freed_volume_is_not_interrupted(cloud: FakeCloud) -> None:
    item = freed_and_taken(cloud, "reserved")
    assert item.outcome is Outcome.FAILED
    assert "somebody" in item.reason


def test_what_changed_since_the_look_is_not_reset(cloud: FakeCloud) -> None:
    (volume,) = stuck(cloud)
    driver = Driver(cloud)
    run = driver.run()
    (finding,) = run.find([volume], named=True)
    cloud.attach(volume, cloud.add_server())
    with unchanged(cloud):
        (item,) = run.repair([finding])
    assert item.outcome is not Outcome.REPAIRED


# stages


def test_a_dry_run_of_stages_shows_them_all(cloud: FakeCloud) -> None:
    (volume,) = stuck(cloud)
    run = Driver(cloud, mode=Mode.DRY_RUN).run()
    alone = {r.symptom: r for r in run.repairs}["volume-abandoned"]
    run.repairs = (alone, replace(alone, symptom="a later stage"))
    shown = []
    for run.staged in (False, True):
        (item,) = run.find_and_repair([volume], named=True)
        assert item.outcome is Outcome.NEEDS_COMMIT
        shown.append(item)
    assert len(shown[1].steps) == 2 * len(shown[0].steps)
    assert shown[1].reason == f"in 2 stages: {shown[0].reason}"
    run.repairs = (alone, replace(alone, only_if=(is_("volume.status", "in-use", "it is not in use"),)))
    (item,) = run.find_and_repair([volume], named=True)
    assert (item.outcome, item.reason) == (Outcome.REFUSED, "it is not in use")


@pytest.mark.parametrize("mode", [Mode.DRY_RUN, Mode.APPLY])
def test_what_goes_for_good_is_said_where_sql_is_shown(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = ImageCloud()
    image = cloud.add_image(status="pending_delete", deleted=True, locations=["deleted"])
    plain = purging.purge(cloud, image, mode)
    monkeypatch.setattr(purging, "IMAGE_PURGE", tuple(replace(r, loses="gone: {image_status}") for r in purging.IMAGE_PURGE))
    item = purging.purge(cloud, image, mode)
    assert (item.outcome, item.reason) == (Outcome.NEEDS_COMMIT, f"gone: pending_delete; {plain.reason}")
    assert "gone" not in purging.purge(cloud, image, mode, databases=False).reason


# interrupts


def test_an_interrupt_finishes_what_was_begun_and_begins_no_more(cloud: FakeCloud) -> None:
    volumes = stuck(cloud, 20)
    driver = Driver(cloud, workers=1)
    cloud.on("reset_volume", driver.stop.set, after=True)
    run = driver.run()
    items = run.repair(run.find(volumes, named=True))
    assert [(i.id, i.outcome) for i in items] == [(volumes[0], Outcome.REPAIRED)] + [
        (v, Outcome.REFUSED) for v in volumes[1:]
    ]
    assert [state(cloud, v) == FREE for v in volumes] == [True] + [False] * 19


def test_an_interrupt_ends_a_wait_as_unknown(cloud: FakeCloud) -> None:
    volume, _ = cloud.attached()
    cloud.set_volume(volume, "detaching")
    cloud.nova.detach_lag = None
    driver = Driver(cloud, deadline=30.0)
    cloud.on("detach_volume", threading.Timer(0.2, driver.stop.set).start, after=True)
    (item,) = driver.named(volume)
    assert item.outcome is Outcome.UNKNOWN
    assert "interrupted" in item.reason
    assert state(cloud, volume) == "detaching/attached, 1 attachments, 1 mappings"
