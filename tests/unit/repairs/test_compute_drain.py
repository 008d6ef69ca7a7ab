"""Which way each server leaves a host that is drained, and what keeps it there."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import click
import pytest

from opsfix.cli.draining import _agreed, _drained
from opsfix.cli.repairing import Options
from opsfix.drains import DOWN, HINTS, UP, DrainedServers, to_move
from opsfix.engine.run import Run
from opsfix.errors import CloudRefused, CloudUnknown
from opsfix.model import Item, Mode, Outcome
from opsfix.repairs import COMPUTE_DRAIN
from opsfix.scene import Scene
from tests.fakes.moving import FROM, TO, MovingCloud

#: nova/compute/vm_states.py
VM_STATES = ("active", "building", "paused", "suspended", "stopped", "rescued", "resized", "soft-delete", "error", "shelved")


@pytest.fixture
def cloud() -> MovingCloud:
    return MovingCloud()


def drain(cloud: MovingCloud, host: str = FROM, mode: Mode = Mode.APPLY, fenced: bool = False, workers: int = 2) -> list[Item]:
    scene = Scene(
        cloud, None, older_than=timedelta(0), fenced=frozenset({host} if fenced else ()), deadline=0.3,  # type: ignore[arg-type]
    )
    return _drained(Run(DrainedServers(host), COMPUTE_DRAIN, scene, mode, lambda _: lambda *_, **__: None, workers), host)


def outcomes(items: list[Item]) -> dict[str, Outcome]:
    return {i.id: i.outcome for i in items}


def verbs(cloud: MovingCloud) -> list[str]:
    return [what[0] for what in cloud.sent]


def item_of(items: list[Item], server: str) -> Item:
    [item] = [i for i in items if i.id == server]
    return item


# the way through


def test_the_host_is_closed_then_each_server_goes_its_way(cloud: MovingCloud) -> None:
    for name, state in (("runs", "active"), ("waits", "paused"), ("off", "stopped")):
        cloud.add(name, state)
    cloud.add("elsewhere", host=TO)
    items = drain(cloud)
    assert outcomes(items) == dict.fromkeys((FROM, "off", "runs", "waits"), Outcome.REPAIRED)
    assert [i.type for i in items] == ["compute", "server", "server", "server"]
    assert cloud.sent[0] == ("disable", f"service of {FROM}", "opsfix: the host is being drained")
    assert sorted(verbs(cloud)[1:]) == ["cold", "confirm", "live", "live"]
    assert {s.host for s in cloud.guests.values()} == {TO}
    assert [s.vm_state for s in cloud.guests.values()] == ["active", "paused", "stopped", "active"]
    assert outcomes(drain(cloud)) == {FROM: Outcome.HEALTHY}


def test_a_dry_run_shows_which_way_each_would_go(cloud: MovingCloud) -> None:
    cloud.add("runs")
    cloud.add("off", "stopped")
    items = drain(cloud, mode=Mode.DRY_RUN)
    assert set(outcomes(items).values()) == {Outcome.NEEDS_COMMIT}
    assert cloud.sent == []
    assert "live-migrate server runs" in item_of(items, "runs").steps[0].what
    assert ["cold-migrate" in s.what for s in item_of(items, "off").steps] == [True, False]


def test_a_server_that_was_on_its_way_as_the_host_was_closed_goes_too(cloud: MovingCloud) -> None:
    cloud.add("first")
    cloud.before = lambda what: cloud.add("late") and None if what == "live" and "late" not in cloud.guests else None
    assert outcomes(drain(cloud))["late"] is Outcome.REPAIRED


@pytest.mark.parametrize("state", sorted(DOWN))
def test_a_fenced_hosts_servers_are_evacuated(cloud: MovingCloud, state: str) -> None:
    cloud.state(FROM, "down")
    cloud.add("vm", state, image_id="image")
    if state == "error":
        cloud.before = lambda what: cloud.set("vm", vm_state="active") if what == "evacuate" else None
    items = drain(cloud, fenced=True)
    assert "made anew from its image" in item_of(items, "vm").steps[0].what
    assert (verbs(cloud), cloud.guests["vm"].host) == (["disable", "evacuate"], TO)
    assert outcomes(items)["vm"] is Outcome.REPAIRED, item_of(items, "vm").reason


# going on where it ended


@pytest.mark.parametrize(("kind", "status"), [("live-migration", "running"), ("migration", "migrating"), ("evacuation", "accepted")])
def test_a_move_that_goes_on_is_waited_for(cloud: MovingCloud, kind: str, status: str) -> None:
    cloud.add("vm", task_state="migrating")
    cloud.add_move("vm", status, kind)

    def end() -> None:
        cloud.records.clear()
        cloud.set("vm", host=TO, task_state=None)

    cloud.pending["vm"] = lambda: cloud.pending.update(vm=lambda: cloud.pending.update(vm=end))
    assert outcomes(drain(cloud))["vm"] is Outcome.REPAIRED
    assert verbs(cloud) == ["disable"]


def test_a_cold_migration_that_waits_is_confirmed(cloud: MovingCloud) -> None:
    cloud.add("vm", "resized", host=TO)
    cloud.add_move("vm", "finished", "migration")
    assert outcomes(drain(cloud))["vm"] is Outcome.REPAIRED
    assert (verbs(cloud), cloud.guests["vm"].vm_state) == (["disable", "confirm"], "stopped")


def test_a_move_without_end_is_unknown(cloud: MovingCloud) -> None:
    cloud.add("vm")
    cloud.stuck = True
    item = item_of(drain(cloud), "vm")
    assert (item.outcome, "run the command again" in item.reason) == (Outcome.UNKNOWN, True)


def test_one_that_is_deleted_meanwhile_is_off_the_host(cloud: MovingCloud) -> None:
    cloud.add("vm")
    cloud.before = lambda what: cloud.guests.clear() if what == "disable" else None
    assert outcomes(drain(cloud)) == {FROM: Outcome.REPAIRED}


# the refusals


@pytest.mark.parametrize("state", ["down", "unknown"])
def test_an_unfenced_host_that_is_not_up_keeps_its_servers(cloud: MovingCloud, state: str) -> None:
    cloud.state(FROM, state)
    cloud.add("vm")
    if state == "unknown":
        with pytest.raises(Exception, match="a cell of nova is down"):
            drain(cloud)
    else:
        items = drain(cloud)
        assert set(outcomes(items).values()) == {Outcome.REFUSED}
        assert all("--fenced gpu-1" in i.reason for i in items)
    assert cloud.sent == []


def test_a_closed_host_that_died_keeps_its_servers(cloud: MovingCloud) -> None:
    cloud.state(FROM, "down", status="disabled")
    cloud.add("vm")
    item = item_of(drain(cloud), "vm")
    assert (item.outcome, cloud.sent) == (Outcome.REFUSED, [])
    assert "the guest may still run there" in item.reason


def test_a_host_that_is_up_is_not_fenced(cloud: MovingCloud) -> None:
    cloud.add("vm")
    items = drain(cloud, fenced=True)
    assert set(outcomes(items).values()) == {Outcome.REFUSED}
    assert "up, yet said to be fenced" in items[0].reason


@pytest.mark.parametrize("state", sorted(set(VM_STATES) - set(UP)))
def test_what_nova_does_not_move_stays_with_a_hint(cloud: MovingCloud, state: str) -> None:
    cloud.add("vm", state)
    item = item_of(drain(cloud), "vm")
    assert (item.outcome, verbs(cloud)) == (Outcome.REFUSED, ["disable"])
    assert HINTS[state].format(id="vm") in item.reason


@pytest.mark.parametrize("state", sorted(set(VM_STATES) - set(DOWN)))
def test_what_nova_does_not_evacuate_stays(cloud: MovingCloud, state: str) -> None:
    cloud.state(FROM, "down")
    cloud.add("vm", state)
    assert outcomes(drain(cloud, fenced=True))["vm"] is Outcome.REFUSED
    assert verbs(cloud) == ["disable"]


def test_a_server_with_a_task_stays(cloud: MovingCloud) -> None:
    cloud.add("vm", task_state="rebooting")
    assert "task: rebooting" in item_of(drain(cloud), "vm").reason
    assert verbs(cloud) == ["disable"]


@pytest.mark.parametrize(("host", "fenced", "kind", "status"), [
    (TO, False, "resize", "finished"),       # its owner's to confirm
    (FROM, False, "resize", "finished"),     # to this host, and back perhaps
    (TO, True, "migration", "finished"),     # a dead host confirms nothing
    (FROM, True, "live-migration", "running"),
])
def test_a_move_that_another_has_to_end_stays(cloud: MovingCloud, host: str, fenced: bool, kind: str, status: str) -> None:
    if fenced:
        cloud.state(FROM, "down")
    cloud.add("vm", "resized", host=host)
    source, dest = (FROM, TO) if host == TO or fenced else (TO, FROM)
    cloud.add_move("vm", status, kind, source, dest)
    assert outcomes(drain(cloud, fenced=fenced))["vm"] is Outcome.REFUSED
    assert verbs(cloud) == ["disable"]


def test_two_cells_with_the_name_are_not_told_apart(cloud: MovingCloud) -> None:
    cloud.services.append(cloud.services[0])
    assert outcomes(drain(cloud)) == {FROM: Outcome.REFUSED}


@pytest.mark.parametrize("host", ["gpu-10", "GPU-1", "gpu"])
def test_a_host_that_nova_has_not_is_not_found(cloud: MovingCloud, host: str) -> None:
    cloud.add("vm")
    [item] = drain(cloud, host)
    assert (item.outcome, cloud.sent) == (Outcome.FAILED, [])


# what fails


@pytest.mark.parametrize(("vm_state", "way"), [("active", "live"), ("stopped", "cold")])
def test_novas_own_words_are_told(cloud: MovingCloud, vm_state: str, way: str) -> None:
    cloud.add("vm", vm_state)
    cloud.fails = "No valid host was found."
    item = item_of(drain(cloud), "vm")
    assert (item.outcome, cloud.fails in item.reason) == (Outcome.FAILED, True), item.reason
    assert verbs(cloud) == ["disable", way]


def test_without_words_its_migration_tells(cloud: MovingCloud) -> None:
    cloud.add("vm")
    cloud.fails = ""
    assert "its live-migration to gpu-2 ended as error" in item_of(drain(cloud), "vm").reason


def test_a_move_is_over_when_its_record_is(cloud: MovingCloud) -> None:
    """The task may end before the record does."""
    cloud.add("vm")

    def task_ends(what: str) -> None:
        if what == "live":
            cloud.later["vm"] = 2

    cloud.before = task_ends
    assert outcomes(drain(cloud))["vm"] is Outcome.REPAIRED
    assert cloud.later["vm"] == 0


def test_one_that_ends_in_error_elsewhere_did_not_go_well(cloud: MovingCloud) -> None:
    cloud.state(FROM, "down")
    cloud.add("vm")
    cloud.before = lambda what: cloud.set("vm", vm_state="error") if what == "evacuate" else None
    item = item_of(drain(cloud, fenced=True), "vm")
    assert (item.outcome, f"it is error on {TO}" in item.reason) == (Outcome.FAILED, True), item.reason


def test_a_call_that_nova_refuses_is_told(cloud: MovingCloud) -> None:
    cloud.add("vm")
    cloud.refuses = CloudRefused(409, "the instance is locked")
    item = item_of(drain(cloud), "vm")
    assert (item.outcome, "the instance is locked" in item.reason) == (Outcome.FAILED, True)


def test_a_server_that_somebody_works_on_meanwhile_is_left_to_them(cloud: MovingCloud) -> None:
    cloud.add("vm")
    reads: list[Any] = []
    original = cloud.server

    def server(server_id: str) -> Any:
        reads.append(server_id)
        if len(reads) == 2:  # the first look, then that of the step
            cloud.set("vm", task_state="rebooting")
        return original(server_id)

    cloud.server = server  # type: ignore[method-assign]
    item = item_of(drain(cloud), "vm")
    assert (item.outcome, verbs(cloud)) == (Outcome.FAILED, ["disable"])
    assert "somebody else is at work on it" in item.reason


def test_a_listing_with_a_cell_down_is_no_listing(cloud: MovingCloud) -> None:
    cloud.state(TO, "unknown")
    with pytest.raises(CloudUnknown):
        to_move(Scene(cloud), FROM)  # type: ignore[arg-type]


# the question


@pytest.mark.parametrize(("terminal", "fenced", "yes", "asked"), [
    (True, True, False, True), (False, True, False, False), (True, False, False, False), (True, True, True, False),
])
def test_a_terminal_is_asked_before_servers_are_made_anew(
    cloud: MovingCloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    terminal: bool, fenced: bool, yes: bool, asked: bool,
) -> None:
    answers: list[str] = []
    monkeypatch.setattr(sys, "stdin", type("In", (), {"isatty": lambda _: terminal})())
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(click, "confirm", lambda text, **_: bool(answers.append(text)))
    cloud.add("vm", image_id="image")
    if fenced:
        cloud.state(FROM, "down")
    options = Options(
        dry_run=False, commit=False, older_than=timedelta(0), fenced=(), limit=0, workers=None, yes=yes, output="table",
    )
    scene = Scene(cloud, fenced=frozenset({FROM} if fenced else ()), deadline=0.3)  # type: ignore[arg-type]
    assert _agreed(scene, FROM, options) is not asked
    assert (len(answers), "evacuate server vm" in capsys.readouterr().err) == (int(asked), asked)
    assert cloud.sent == []
