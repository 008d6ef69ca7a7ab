"""An audit says what its repair command would do, and which call does it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from opsfix.agents import PERIODS, Agents
from opsfix.cli import auditing
from opsfix.cli.auditing import Audited, audited
from opsfix.cli.repairing import Command
from opsfix.computes import Computes
from opsfix.errors import CloudUnknown, ExitCode
from opsfix.placements import Placements
from opsfix.repairs import AGENT_CLEAN, COMPUTE_PURGE, PLACEMENT_CLEAN
from opsfix.resources import Allocation, Server
from opsfix.scene import Scene
from tests.fakes.hosts import HostCloud, HostRows, one_dead, with_agents

GPU, NODE = "gpu-1", "node-0"


@pytest.fixture
def cloud() -> HostCloud:
    made = HostCloud()
    made.add_compute(GPU, state="up")
    return made


def look(cloud: HostCloud, rows: dict[str, Any] | None = None, **options: Any) -> Audited:
    subject = Placements(period=0.01)
    command = Command("placement clean", subject, PLACEMENT_CLEAN, subject.find, ())
    tables = HostRows(rows) if rows is not None else None
    return audited(command, Scene(cloud, tables, older_than=timedelta(0)), 2, **options)  # type: ignore[arg-type]


def test_what_a_command_repairs_has_its_call(cloud: HostCloud) -> None:
    cloud.held["orphan"] = Allocation("orphan", {NODE: {"VCPU": 2}}, 1, "p", "INSTANCE")
    found = look(cloud)
    [row] = found.findings
    assert (row["finding"], row["refused"], row["command"], row["all"]) == (
        "placement-allocation-orphaned", False, "opsfix placement clean orphan", "opsfix placement clean --all",
    )
    assert row["reason"] == "2 VCPU are allocated to a consumer that nova does not have"
    assert found.exit_code is ExitCode.REMAINING
    assert cloud.sent == []
    assert look(cloud, option="--id ").findings[0]["command"] == "opsfix placement clean --id orphan"


def test_what_only_sql_repairs_says_commit(cloud: HostCloud) -> None:
    rows = {
        "read_nodes_known.nova": [{"uuid": NODE, "name": GPU, "host": GPU, "deleted": 0}],
        "read_consumers_empty.placement": [{"consumer": "it's empty"}],
        "read_consumer.placement": [{"generation": 1, "created_at": None, "updated_at": None, "settled": 1}],
    }
    [row] = look(cloud, rows).findings
    assert row["command"] == """opsfix placement clean 'it'"'"'s empty' --commit"""


def test_what_is_refused_has_the_call_that_the_advice_names(cloud: HostCloud) -> None:
    cloud.guests["poor"] = Server("poor", "poor", "p", "active", host=GPU, node=GPU)
    [row] = look(cloud).findings
    assert (row["refused"], row["all"]) == (True, None)
    assert row["command"] == "nova-manage placement heal_allocations --instance poor --dry-run"


def test_no_call_asserts_for_the_operator_that_a_host_is_off() -> None:
    cloud = one_dead(GPU)
    cloud.guests["s"] = Server("s", "s", "p", "active", host=GPU, node=NODE)
    command = Command("compute purge", Computes(period=0.01), COMPUTE_PURGE, lambda _: {GPU}, ())
    [row] = audited(command, Scene(cloud, older_than=timedelta(0)), 2).findings
    assert (row["refused"], row["command"], row["all"]) == (True, None, None)
    assert f"make sure that it is off, then evacuate them with 'opsfix compute drain {GPU} --fenced {GPU}'" in row["reason"]


def test_what_ends_one_look_is_told_and_ends_no_other() -> None:
    """A defect in one audit: what it did not come to is not known, and the audits beside it go on."""
    scene, seen = Scene(with_agents(), older_than=timedelta(0)), Agents(None, dict.fromkeys(PERIODS, 0.01))

    class Broken(Agents):
        def look(self, scene: Scene, subject_id: str) -> Any:
            raise ValueError(subject_id)

    broken = audited(Command("agent clean", Broken(None), AGENT_CLEAN, seen.dead, ()), scene, 1)
    assert [u["id"] is None for u in broken.unchecked] == [False, True]
    assert "before everything was looked at" in broken.unchecked[1]["reason"]
    beside = audited(Command("agent clean", seen, AGENT_CLEAN, seen.dead, ()), scene, 1)
    assert (len(beside.findings), beside.unchecked) == (6, [])


def test_an_interrupt_leaves_nothing_that_looks_whole() -> None:
    scene, subject = Scene(with_agents(), older_than=timedelta(0)), Agents(None)
    scene.stop.set()
    found = audited(Command("agent clean", subject, AGENT_CLEAN, subject.dead, ()), scene, 1)
    assert (found.findings, found.exit_code) == ([], ExitCode.UNKNOWN)


def test_what_cannot_be_read_is_told(cloud: HostCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.held["orphan"] = Allocation("orphan", {NODE: {"VCPU": 2}}, 1, "p", "INSTANCE")

    def fails(_: str) -> None:
        raise CloudUnknown("HTTP 500: oops")

    monkeypatch.setattr(cloud, "server", fails)
    found = look(cloud)
    assert (found.findings, found.exit_code) == ([], ExitCode.UNKNOWN)
    assert found.unchecked == [{"type": "placement", "id": "orphan", "reason": "HTTP 500: oops"}]


@pytest.mark.parametrize("form", ["table", "csv", "value", "json", "yaml"])
def test_every_form_is_shown(cloud: HostCloud, form: str) -> None:
    assert auditing._shown(Audited(), "x/1", form) is not None
    cloud.held["orphan"] = Allocation("orphan", {NODE: {"VCPU": 2}}, 1, "p", "INSTANCE")
    assert "orphan" in auditing._shown(look(cloud), "x/1", form)
