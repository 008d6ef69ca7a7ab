"""What may be called active or failed, what is restored, and what is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from opsfix.engine.run import Run
from opsfix.model import Item, Mode
from opsfix.repair import Repair
from opsfix.repairs import INSTANCE_RECOVER, INSTANCE_RESET_STATE, INSTANCE_RESTORE
from opsfix.scene import Scene
from opsfix.server_states import KEPT, ServerStates, restorable, unsettled
from tests.fakes.power import OFF, RUNNING, ServerCloud, ServerDatabases
from tests.fakes.rows import ago


@pytest.fixture
def cloud() -> ServerCloud:
    """A cloud with a server that nobody may touch."""
    cloud = ServerCloud()
    cloud.add_guest(name="bystander")
    return cloud


def run(cloud: ServerCloud, subject: ServerStates, repairs: tuple[Repair, ...], mode: Mode, **options: Any) -> Run:
    databases = ServerDatabases(cloud) if options.pop("databases", True) else None
    scene = Scene(
        cloud, databases, older_than=options.pop("older_than", timedelta(minutes=15)), deadline=0.3,
        fenced=frozenset(options.pop("fenced", ())), **options,
    )
    return Run(subject, repairs, scene, mode, lambda _: lambda *_, **__: None, workers=1)


def reset(cloud: ServerCloud, server: str, to: str = "active", mode: Mode = Mode.APPLY, **options: Any) -> Item:
    (item,) = run(cloud, ServerStates(to), INSTANCE_RESET_STATE, mode, **options).find_and_repair([server], named=True)
    return item


def recover(cloud: ServerCloud, server: str, mode: Mode = Mode.APPLY, **options: Any) -> Item:
    (item,) = run(cloud, ServerStates(proven=True), INSTANCE_RECOVER, mode, **options).find_and_repair([server], named=True)
    return item


def restore(cloud: ServerCloud, server: str, mode: Mode = Mode.APPLY, **options: Any) -> Item:
    (item,) = run(cloud, ServerStates(deleted=True), INSTANCE_RESTORE, mode, **options).find_and_repair([server], named=True)
    return item


def state(cloud: ServerCloud, server: str) -> tuple[str, str | None]:
    row = cloud.world.servers[server]
    return row.vm_state, row.task_state


@contextmanager
def unchanged(cloud: ServerCloud) -> Iterator[None]:
    before, sent = cloud.world.picture(), len(cloud.faults.changes)
    yield
    assert cloud.faults.changes[sent:] == []
    assert cloud.world.picture() == before


def refused(cloud: ServerCloud, command: Any, server: str, *words: str, **options: Any) -> Item:
    """No mode changes anything, and the reason says what stands in the way."""
    for mode in Mode:
        with unchanged(cloud):
            item: Item = command(cloud, server, mode=mode, **options)
        assert (item.outcome, item.by) == ("refused", None), item.reason
        assert [w for w in words if w not in item.reason] == [], item.reason
    return item


# reset-state


@pytest.mark.parametrize(("broken", "finding"), [
    ({"vm_state": "error"}, "state-error"),
    ({"vm_state": "active", "task_state": "rebooting_hard"}, "state-task"),
    ({"vm_state": "stopped", "task_state": "powering-on"}, "state-task"),
    ({"vm_state": "error", "task_state": "powering-on"}, "state-task"),
])
def test_a_reset_to_active(cloud: ServerCloud, broken: dict[str, str], finding: str) -> None:
    server = cloud.add_guest(**broken)
    with unchanged(cloud):
        assert reset(cloud, server, mode=Mode.DRY_RUN).outcome == "needs_commit"
    item = reset(cloud, server)
    assert (item.outcome, item.by, item.finding) == ("repaired", "api", finding), item.reason
    assert state(cloud, server) == ("active", None)
    assert cloud.faults.changes == ["reset_server"]
    assert reset(cloud, server).outcome == "healthy"


@pytest.mark.parametrize(("guest", "says"), [
    (OFF, "nova calls it stopped within ten minutes"), (6, "within ten minutes"), (7, "within ten minutes"),
    (3, "not usable yet"), (0, "not usable yet"),
])
def test_it_says_what_active_means(cloud: ServerCloud, guest: int, says: str) -> None:
    item = reset(cloud, cloud.add_guest(guest, vm_state="error"))
    assert item.outcome == "repaired"
    assert says in item.reason


def test_of_a_guest_that_runs_it_says_nothing_more(cloud: ServerCloud) -> None:
    assert reset(cloud, cloud.add_guest(vm_state="error")).reason == "read again: active, guest running"


@pytest.mark.parametrize("broken", [
    {"vm_state": "active", "task_state": "powering-off"},
    {"vm_state": "building", "task_state": "spawning"},
    {"vm_state": "building", "task_state": None},
])
def test_a_reset_to_error(cloud: ServerCloud, broken: dict[str, Any]) -> None:
    server = cloud.add_guest(**broken, built=broken["vm_state"] != "building")
    item = reset(cloud, server, "error")
    assert (item.outcome, state(cloud, server)) == ("repaired", ("error", None)), item.reason
    assert reset(cloud, server, "error").outcome == "healthy"


def test_to_error_whatever_its_host(cloud: ServerCloud) -> None:
    server = cloud.add_guest(task_state="rebooting_hard")
    cloud.kill_host("cmp-1")
    assert reset(cloud, server, "error").outcome == "repaired"


BROKEN = ({"vm_state": "error"}, {"task_state": "rebooting_hard"})


@pytest.mark.parametrize("command", [reset, recover])
@pytest.mark.parametrize("broken", BROKEN)
class TestNoLie:
    """What is never called active."""

    def test_never_ran(self, cloud: ServerCloud, command: Any, broken: dict[str, str]) -> None:
        refused(cloud, command, cloud.add_guest(built=False, **broken), "never ran on any host", "would be a lie")

    def test_no_host(self, cloud: ServerCloud, command: Any, broken: dict[str, str]) -> None:
        refused(cloud, command, cloud.add_guest(host=None, **broken), "no host has it")

    def test_a_host_that_is_down(self, cloud: ServerCloud, command: Any, broken: dict[str, str]) -> None:
        server = cloud.add_guest(**broken)
        cloud.kill_host("cmp-1")
        refused(cloud, command, server, "cmp-1 is down", f"openstack server evacuate {server}")
        refused(cloud, command, server, "cmp-1 is fenced", "evacuate", fenced=["cmp-1"])

    def test_a_host_that_nova_does_not_know(self, cloud: ServerCloud, command: Any, broken: dict[str, str]) -> None:
        server = cloud.add_guest(**broken)
        cloud.world.services = [s for s in cloud.world.services if s.host != "cmp-1"]
        refused(cloud, command, server, "cmp-1 is missing")

    @pytest.mark.parametrize("status", ["migrating", "finished", "confirming", "running"])
    def test_a_move(self, cloud: ServerCloud, command: Any, broken: dict[str, str], status: str) -> None:
        server = cloud.add_guest(**broken)
        cloud.add_migration(server, status)
        refused(cloud, command, server, f"({status})", "confirm or revert")

    def test_a_move_that_is_over_is_none(self, cloud: ServerCloud, command: Any, broken: dict[str, str]) -> None:
        server = cloud.add_guest(**broken)
        for status in ("confirmed", "error", "failed", "completed"):
            cloud.add_migration(server, status)
        assert command(cloud, server).outcome == "repaired"

    def test_a_cell_that_is_down(self, cloud: ServerCloud, command: Any, broken: dict[str, str]) -> None:
        server = cloud.add_guest(**broken)
        cloud.cell_down()
        with unchanged(cloud):
            item = command(cloud, server)
        assert (item.outcome, "its cell is down" in item.reason) == ("unknown", True)

    def test_what_is_gone_is_not_found(self, cloud: ServerCloud, command: Any, broken: dict[str, str]) -> None:
        server = cloud.add_guest(**broken)
        cloud.lose_server(server)
        assert (command(cloud, server).outcome, command(cloud, server).reason) == ("failed", "no server with this id was found")


@pytest.mark.parametrize("command", [reset, recover])
@pytest.mark.parametrize("task", ["deleting", "soft-deleting"])
def test_a_deletion_is_ended_by_a_purge(cloud: ServerCloud, command: Any, task: str) -> None:
    server = cloud.add_guest(task_state=task)
    refused(cloud, command, server, f"'opsfix instance purge {server}'")
    refused(cloud, reset, server, "instance purge", to="error")


@pytest.mark.parametrize("command", [reset, recover])
def test_a_task_may_still_be_worked_on(cloud: ServerCloud, command: Any) -> None:
    server = cloud.add_guest(task_state="rebooting_hard", updated_at=ago(60))
    refused(cloud, command, server, "less than --older-than ago")
    assert command(cloud, server, older_than=timedelta(seconds=30)).outcome == "repaired"


def test_an_error_that_rests_needs_no_age(cloud: ServerCloud) -> None:
    assert reset(cloud, cloud.add_guest(vm_state="error", updated_at=ago(1))).outcome == "repaired"


def test_a_build_is_never_called_active(cloud: ServerCloud) -> None:
    server = cloud.add_guest(vm_state="building", task_state="spawning", built=False)
    refused(cloud, reset, server, "--state error")
    refused(cloud, recover, server, "never ran")


@pytest.mark.parametrize("changes", [{"task_state": None}, {"task_state": "powering-on"}, {"updated_at": ago(0)}])
def test_somebody_who_began_to_work_on_it_is_not_disturbed(cloud: ServerCloud, changes: dict[str, Any]) -> None:
    server = cloud.add_guest(vm_state="error", task_state="rebooting_hard")
    subject = ServerStates()
    look = subject.look

    class Late(ServerStates):
        def look(self, scene: Scene, subject_id: str) -> Any:
            seen = look(scene, subject_id)
            cloud.set_server(server, **changes)
            return seen

    (item,) = run(cloud, Late(), INSTANCE_RESET_STATE, Mode.APPLY).find_and_repair([server], named=True)
    assert item.outcome == "failed"
    assert "somebody is at work on it" in item.reason
    assert cloud.faults.changes == []


def test_a_lost_answer_is_looked_up(cloud: ServerCloud) -> None:
    server = cloud.add_guest(vm_state="error")
    cloud.lose("reset_server", after=True)
    assert reset(cloud, server).outcome == "repaired"
    other = cloud.add_guest(vm_state="error")
    cloud.lose("reset_server")
    assert reset(cloud, other).outcome == "unknown"
    assert state(cloud, other) == ("error", None)


@pytest.mark.parametrize("vm_state", KEPT)
def test_the_task_alone_ends_by_sql(cloud: ServerCloud, vm_state: str) -> None:
    server = cloud.add_guest(OFF, vm_state=vm_state, task_state="resuming")
    with unchanged(cloud):
        assert reset(cloud, server, mode=Mode.DRY_RUN).outcome == "needs_commit"
        assert reset(cloud, server).outcome == "needs_commit"
    item = reset(cloud, server, mode=Mode.COMMIT)
    assert (item.outcome, item.by, item.finding) == ("repaired", "sql", "state-task-kept"), item.reason
    assert state(cloud, server) == (vm_state, None)
    assert cloud.faults.changes == []


def test_a_state_with_a_way_back_is_never_forgotten(cloud: ServerCloud) -> None:
    server = cloud.add_guest(OFF, vm_state="shelved_offloaded", host=None, task_state="unshelving")
    refused(cloud, reset, server, "'error' would forget that it is shelved_offloaded", to="error")
    refused(cloud, recover, server, "no host has it")
    assert reset(cloud, server, mode=Mode.COMMIT).outcome == "repaired"


def test_no_sql_while_its_host_may_do_it_later(cloud: ServerCloud) -> None:
    server = cloud.add_guest(OFF, vm_state="suspended", task_state="resuming")
    cloud.kill_host("cmp-1")
    refused(cloud, reset, server, "cmp-1 is down and does what it was asked when it comes back")


def test_no_sql_during_a_move_or_a_deletion(cloud: ServerCloud) -> None:
    moved = cloud.add_guest(vm_state="resized", task_state="resize_reverting")
    cloud.add_migration(moved, "reverting")
    refused(cloud, reset, moved, "(reverting)")
    refused(cloud, reset, cloud.add_guest(vm_state="paused", task_state="deleting"), "instance purge")


def test_without_a_database_it_says_what_it_needs(cloud: ServerCloud) -> None:
    refused(cloud, reset, cloud.add_guest(vm_state="paused", task_state="unpausing"), "database of nova", databases=False)


@pytest.mark.parametrize("command", [reset, recover])
@pytest.mark.parametrize("vm_state", ["active", "stopped", *KEPT])
def test_what_rests_is_healthy(cloud: ServerCloud, command: Any, vm_state: str) -> None:
    server = cloud.add_guest(RUNNING if vm_state == "active" else OFF, vm_state=vm_state)
    with unchanged(cloud):
        assert command(cloud, server, mode=Mode.COMMIT).outcome == "healthy"


@pytest.mark.parametrize("databases", [True, False])
def test_all_finds_what_is_not_settled(cloud: ServerCloud, databases: bool) -> None:
    wanted = {
        cloud.add_guest(vm_state="error"), cloud.add_guest(task_state="powering-on"),
        cloud.add_guest(vm_state="building", built=False),
    }
    for vm_state in ("stopped", "paused", "shelved"):
        cloud.add_guest(OFF, vm_state=vm_state)
    scene = run(cloud, ServerStates(), INSTANCE_RESET_STATE, Mode.APPLY, databases=databases).scene
    assert unsettled(scene) == wanted


# restore


def test_a_soft_deleted_server_comes_back(cloud: ServerCloud) -> None:
    server = cloud.add_guest(OFF, vm_state="soft-delete", name="gone")
    assert [s["id"] for s in restorable(cloud)["servers"]] == [server]
    with unchanged(cloud):
        assert restore(cloud, server, Mode.DRY_RUN).outcome == "needs_commit"
    item = restore(cloud, server)
    assert (item.outcome, item.finding, state(cloud, server)) == ("repaired", "deleted-soft", ("active", None)), item.reason
    assert restorable(cloud)["servers"] == []
    assert restore(cloud, server).outcome == "healthy"


def test_names_are_those_of_soft_deleted_servers_first(cloud: ServerCloud) -> None:
    gone = cloud.add_guest(OFF, vm_state="soft-delete", name="web")
    alive = cloud.add_guest(name="web")
    scene = run(cloud, ServerStates(), (), Mode.APPLY).scene
    assert [i for i, _ in ServerStates(deleted=True).named(scene, "web")] == [gone]
    cloud.world.servers[gone].name = "other"
    assert [i for i, _ in ServerStates(deleted=True).named(scene, "web")] == [alive]


def test_what_cannot_come_back_is_refused(cloud: ServerCloud) -> None:
    deleted = {"guest": OFF, "vm_state": "soft-delete"}
    refused(cloud, restore, cloud.add_guest(**deleted, host=None), "it was shelved")
    refused(cloud, restore, cloud.add_guest(**deleted, task_state="restoring"), "instance reset-state")
    dead = cloud.add_guest(**deleted, host="cmp-2")
    cloud.kill_host("cmp-2")
    refused(cloud, restore, dead, "cmp-2 is down")


def test_a_full_quota_is_told(cloud: ServerCloud) -> None:
    server = cloud.add_guest(OFF, vm_state="soft-delete")
    cloud.refuse("restore", 403, "Quota exceeded for instances")
    item = restore(cloud, server)
    assert (item.outcome, state(cloud, server)[0]) == ("failed", "soft-delete")
    assert "Quota exceeded" in item.reason
