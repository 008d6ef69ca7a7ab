"""The ladder: reset, stop and start, hard reboot, up to the first after which the guest runs."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from opsfix import server_power
from opsfix.model import Mode
from tests.fakes.power import OFF, RUNNING, ServerCloud
from tests.unit.test_server_states import recover, refused, state, unchanged

CALLS = ["reset_server", "stop", "start", "reboot_hard"]


@pytest.fixture
def cloud() -> ServerCloud:
    return ServerCloud()


@pytest.mark.parametrize(("guest", "fails", "sent"), [
    (RUNNING, (), CALLS[:1]),
    (OFF, (), CALLS[:3]),
    (6, (), CALLS[:3]),
    (OFF, ("start",), CALLS),
    (None, (), ["reset_server", "stop", "reboot_hard"]),
    (OFF, ("stop",), ["reset_server", "stop", "reboot_hard"]),
])
def test_up_to_the_rung_that_helps(cloud: ServerCloud, guest: int | None, fails: tuple[str, ...], sent: list[str]) -> None:
    server = cloud.add_guest(guest, vm_state="error")
    cloud.fails |= set(fails)
    with unchanged(cloud):
        shown = recover(cloud, server, Mode.DRY_RUN)
    assert (shown.outcome, len(shown.steps)) == ("needs_commit", len(CALLS))
    item = recover(cloud, server)
    assert (item.outcome, item.finding, cloud.faults.changes) == ("repaired", "guest-down", sent), item.reason
    assert (state(cloud, server), cloud.guests[server]) == (("active", None), RUNNING)
    assert recover(cloud, server).outcome == "healthy"


@pytest.mark.parametrize("task", ["rebooting_hard", "reboot_started", "powering-on", "image_uploading"])
def test_a_task_that_hangs(cloud: ServerCloud, task: str) -> None:
    server = cloud.add_guest(OFF, task_state=task)
    assert recover(cloud, server).outcome == "repaired"
    assert cloud.faults.changes == CALLS[:3]


def test_active_with_a_guest_that_is_off(cloud: ServerCloud) -> None:
    server = cloud.add_guest(OFF)
    assert recover(cloud, server).outcome == "repaired"
    assert cloud.faults.changes == ["stop", "start"]


def test_nova_calls_it_running_and_the_hypervisor_does_not(cloud: ServerCloud) -> None:
    server = cloud.add_guest(OFF, power_state=RUNNING)
    assert recover(cloud, server).outcome == "repaired"
    assert cloud.guests[server] == RUNNING


def test_a_driver_that_cannot_tell_leaves_novas_word(cloud: ServerCloud) -> None:
    cloud.blind = True
    server = cloud.add_guest(vm_state="error")
    assert recover(cloud, server).outcome == "repaired"
    assert cloud.faults.changes == ["reset_server"]


def test_the_ladder_ends_with_what_nova_says(cloud: ServerCloud) -> None:
    server = cloud.add_guest(OFF, vm_state="error")
    cloud.fails |= {"start", "reboot_hard"}
    item = recover(cloud, server)
    assert (item.outcome, cloud.faults.changes) == ("failed", CALLS)
    assert "nova's last word: the driver cannot reboot_hard" in item.reason
    assert [s.result for s in item.steps] == ["done"] * 4
    assert "the driver cannot start" in item.steps[2].detail


def test_a_rung_that_nova_refuses_is_followed_by_the_next(cloud: ServerCloud) -> None:
    server = cloud.add_guest(OFF, vm_state="error")
    cloud.refuse("stop", 409, "Cannot 'stop' instance while it is locked")
    item = recover(cloud, server)
    assert (item.outcome, cloud.guests[server]) == ("repaired", RUNNING)
    assert "locked" in item.reason
    assert cloud.faults.changes == ["reset_server", "stop", "reboot_hard"]


@pytest.mark.parametrize("call", ["stop", "start", "reboot_hard"])
def test_what_does_not_end_is_not_known(cloud: ServerCloud, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rungs = tuple(replace(r, takes=0.0) for r in server_power.LADDER)
    monkeypatch.setattr(server_power, "LADDER", rungs)
    server = cloud.add_guest(OFF, vm_state="error")
    cloud.hangs.add(call)
    cloud.fails |= {"start"} if call == "reboot_hard" else set()
    item = recover(cloud, server)
    assert item.outcome == "unknown"
    assert "still at work on it" in item.reason
    assert cloud.faults.changes == CALLS[: CALLS.index(call) + 1]


def test_an_interrupted_stop_is_followed_by_its_start_and_by_nothing_else(cloud: ServerCloud) -> None:
    server = cloud.add_guest(OFF, vm_state="error")
    cloud.fails.add("start")
    stop = threading.Event()
    cloud.on("stop", stop.set)
    assert recover(cloud, server, stop=stop).outcome == "unknown"
    assert cloud.faults.changes == CALLS[:3]


def test_an_interrupt_before_the_first_rung(cloud: ServerCloud) -> None:
    server = cloud.add_guest(OFF, vm_state="error")
    stop = threading.Event()
    cloud.on("reset_server", stop.set)
    recover(cloud, server, stop=stop)
    assert cloud.faults.changes == ["reset_server"]


def test_a_server_that_is_deleted_on_the_way(cloud: ServerCloud) -> None:
    server = cloud.add_guest(OFF, vm_state="error")
    cloud.on("stop", lambda: cloud.lose_server(server))
    item = recover(cloud, server)
    assert (item.outcome, "start" in cloud.faults.changes) == ("failed", False)


@pytest.mark.parametrize("vm_state", ["paused", "suspended", "rescued", "shelved", "resized", "soft-delete"])
def test_what_a_restart_would_lose_is_left(cloud: ServerCloud, vm_state: str) -> None:
    server = cloud.add_guest(OFF, vm_state=vm_state, task_state="rebooting_hard")
    refused(cloud, recover, server, f"it is {vm_state}", f"'opsfix instance reset-state {server}'")


@pytest.mark.parametrize("task", ["powering-off", "rebuilding", "rebuild_spawning", "shelving", "suspending", "rescuing", "new-task"])
def test_what_its_owner_wanted_is_not_guessed(cloud: ServerCloud, task: str) -> None:
    server = cloud.add_guest(OFF, task_state=task)
    refused(cloud, recover, server, f"it hangs in {task}", "instance reset-state")
