"""Which agents are removed, what happens to what they serve, and what keeps one from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opsfix import agent_steps
from opsfix.agents import PERIODS, Agents
from opsfix.engine.run import Run
from opsfix.errors import CloudRefused, CloudUnknown
from opsfix.model import Item, Mode, Outcome
from opsfix.repairs import AGENT_CLEAN, COMPUTE_PURGE
from opsfix.resources import Migration, Server, Service
from opsfix.scene import Scene
from tests.fakes.hosts import LONG_AGO, STORE, HostCloud, HostRows, with_agents

#: Seconds for which an agent is watched here: more than two looks take on a busy machine.
BRIEF = dict.fromkeys(PERIODS, 0.1)
NAIVE = LONG_AGO.replace(tzinfo=None)
NOW = datetime.now(UTC)


@pytest.fixture
def cloud() -> HostCloud:
    return with_agents()


def clean(
    cloud: HostCloud, *names: str, mode: Mode = Mode.APPLY, rows: HostRows | None = None, service: str | None = None, **options: Any
) -> list[Item]:
    """As ``opsfix agent clean NAME...``; without names all that is dead."""
    scene = Scene(cloud, rows, **({"older_than": timedelta(minutes=15), "deadline": 0.3} | options))  # type: ignore[arg-type]
    subject = Agents(service, BRIEF)
    ids = {i for name in names for i, _ in subject.named(scene, name)} if names else subject.dead(scene)
    run = Run(subject, (*AGENT_CLEAN, *COMPUTE_PURGE), scene, mode, lambda _: lambda *_, **__: None, staged=True)
    return run.find_and_repair(ids, named=bool(names))


def one(cloud: HostCloud, name: str, **options: Any) -> Item:
    [item] = clean(cloud, name, **options)
    return item


def refused(cloud: HostCloud, name: str, *words: str, **options: Any) -> None:
    """No mode changes anything."""
    for mode in Mode:
        for item in clean(cloud, name, mode=mode, **options):
            assert item.outcome is Outcome.REFUSED, item.reason
            assert all(word in item.reason for word in words), item.reason
    assert cloud.sent == []


def agent(cloud: HostCloud, name: str, **values: Any) -> None:
    cloud.all_agents[name] = replace(cloud.all_agents[name], **values)


# the way through


def test_all_that_is_dead_goes_and_all_else_stays(cloud: HostCloud) -> None:
    live = {a for a, row in cloud.all_agents.items() if row.state == "up"}
    cloud.installed = {"cinder"}
    items = clean(cloud)
    assert {(i.outcome, i.finding, i.type) for i in items} == {(Outcome.REPAIRED, "agent-dead", "agent")}, items
    assert len(items) == 6
    assert set(cloud.all_agents) == live
    assert [s.binary for s in cloud.services] == ["nova-scheduler"]
    assert [s.host for s in cloud.volume_rows] == ["store0@lvm"]
    assert clean(cloud) == []


@pytest.mark.parametrize(("service", "count"), [("nova", 1), ("neutron", 3), ("cinder", 2)])
def test_a_service_alone(cloud: HostCloud, service: str, count: int) -> None:
    cloud.installed = {"cinder"}
    items = clean(cloud, service=service)
    assert [i.outcome for i in items] == [Outcome.REPAIRED] * count
    assert {i.facts["agent.id"] for i in items} == {i.id for i in items}


def test_routers_and_networks_go_to_live_agents_first(cloud: HostCloud) -> None:
    cloud.routers["L3 agent of net-2"] = ["r1", "r2", "ha"]
    cloud.routers["L3 agent of net-1"] = ["ha"]
    cloud.networks["DHCP agent of net-2"] = ["n1"]
    items = clean(cloud, "net-2")
    assert [i.outcome for i in items] == [Outcome.REPAIRED] * 3
    served = sorted([*cloud.routers["L3 agent of net-1"], *cloud.routers["L3 agent of net-20"]])
    assert served == ["ha", "r1", "r2"]
    assert sorted([*cloud.networks["DHCP agent of net-1"], *cloud.networks["DHCP agent of net-20"]]) == ["n1"]
    l3 = [what for what in cloud.sent if "L3 agent of net-2" in what]
    assert [what[0] for what in l3] == ["remove_router"] * 3 + ["delete_agent"]


def test_a_dvr_agents_routers_stay_where_they_are(cloud: HostCloud) -> None:
    agent(cloud, "L3 agent of net-2", mode="dvr")
    cloud.routers["L3 agent of net-2"] = ["r1"]
    assert one(cloud, "L3 agent of net-2").outcome is Outcome.REPAIRED
    assert [what[0] for what in cloud.sent] == ["delete_agent"]


def test_a_router_that_is_gone_or_given_away_meanwhile_is_no_obstacle(cloud: HostCloud) -> None:
    cloud.routers["L3 agent of net-2"] = ["gone", "given"]
    cloud.refuses = {"add_router": CloudRefused(409, "The router has been already hosted by the L3 Agent")}

    def neutron_gives_it(what: str) -> None:
        if what == "add_router":
            cloud.routers["L3 agent of net-1"] += ["gone", "given"]

    cloud.before = neutron_gives_it
    assert one(cloud, "L3 agent of net-2").outcome is Outcome.REPAIRED


@pytest.mark.parametrize("given", [True, False])
def test_an_agent_that_answers_late_has_the_router_or_has_not(cloud: HostCloud, given: bool) -> None:
    """neutron binds the router, then waits for the agent's answer, up to its own time-out and beyond ours."""
    cloud.routers["L3 agent of net-2"] = ["r1"]
    original = cloud.add_router

    def late(agent_id: str, router_id: str) -> None:
        if given:
            original(agent_id, router_id)
        raise CloudUnknown("timed out")

    cloud.add_router = late  # type: ignore[method-assign]
    assert one(cloud, "L3 agent of net-2").outcome is (Outcome.REPAIRED if given else Outcome.UNKNOWN)
    assert ("L3 agent of net-2" in cloud.all_agents) is not given


def test_a_router_that_nobody_takes_keeps_its_agent(cloud: HostCloud) -> None:
    cloud.routers["L3 agent of net-2"] = ["r1"]
    cloud.refuses = {"add_router": CloudRefused(409, "no")}
    item = one(cloud, "L3 agent of net-2")
    assert (item.outcome, "L3 agent of net-2" in cloud.all_agents) == (Outcome.FAILED, True)


def test_an_ovn_agent_goes_by_api(cloud: HostCloud) -> None:
    name = cloud.add_agent("gpu-7", "OVN Controller Gateway agent", binary="ovn-controller")
    assert one(cloud, name).outcome is Outcome.REPAIRED
    assert cloud.sent == [("delete_agent", name)]


def test_a_dry_run_shows_every_stage_and_changes_nothing(cloud: HostCloud) -> None:
    cloud.routers["L3 agent of net-2"] = ["r1"]
    item = one(cloud, "L3 agent of net-2", mode=Mode.DRY_RUN)
    assert (item.outcome, cloud.sent) == (Outcome.NEEDS_COMMIT, [])
    told = [s.what for s in item.steps]
    assert [what.split()[0] for what in told] == ["watch", "neutron:", "neutron:"], told


# hosts, exactly


def test_a_host_is_its_own_and_its_backends(cloud: HostCloud) -> None:
    cloud.installed = {"cinder"}
    assert {i.id for i in clean(cloud, "store", mode=Mode.DRY_RUN)} == {f"cinder-volume/{STORE}", "cinder-backup/store"}
    assert {i.id for i in clean(cloud, STORE, mode=Mode.DRY_RUN)} == {f"cinder-volume/{STORE}"}


@pytest.mark.parametrize("name", ["net", "NET-2", "net-2.site", "net-%", "store@", "store@LVM", "lvm", ""])
def test_what_is_nearly_called_so_is_not_meant(cloud: HostCloud, name: str) -> None:
    assert Agents(None, BRIEF).named(Scene(cloud), name) == []


def test_an_id_is_found_whatever_its_case(cloud: HostCloud) -> None:
    assert Agents(None, BRIEF).named(Scene(cloud), "CONDUCTOR-2") == [("conductor-2", "")]


# the refusals


def test_what_reports_is_refused(cloud: HostCloud) -> None:
    refused(cloud, "net-1", "is up: stop it first", "never removed", older_than=timedelta(0), fenced=frozenset({"net-1"}))
    refused(cloud, "scheduler-1", "nova-scheduler on ctl-1 is up")
    refused(cloud, "store0@lvm", "is up")


def test_what_takes_no_work_and_reports_is_refused(cloud: HostCloud) -> None:
    agent(cloud, "L3 agent of net-1", enabled=False)
    cloud.services[0] = replace(cloud.services[0], status="disabled")
    refused(cloud, "L3 agent of net-1", "is up", older_than=timedelta(0))
    refused(cloud, "scheduler-1", "is up", older_than=timedelta(0))
    assert "scheduler-1" not in {i.id for i in clean(cloud, mode=Mode.DRY_RUN)}


def test_a_cell_that_is_down_is_not_dead(cloud: HostCloud) -> None:
    cloud.services[1] = replace(cloud.services[1], state="unknown")
    refused(cloud, "conductor-2", "is unknown")
    assert "conductor-2" not in {i.id for i in clean(cloud, mode=Mode.DRY_RUN)}


def test_what_went_silent_a_moment_ago_is_left_alone(cloud: HostCloud) -> None:
    agent(cloud, "L3 agent of net-2", heartbeat=NOW)
    refused(cloud, "L3 agent of net-2", "less than --older-than ago")
    assert "L3 agent of net-2" not in {i.id for i in clean(cloud, mode=Mode.DRY_RUN)}
    assert one(cloud, "L3 agent of net-2", fenced=frozenset({"net-2"})).outcome is Outcome.REPAIRED


def test_what_nobody_dated_needs_a_word(cloud: HostCloud) -> None:
    agent(cloud, "L3 agent of net-2", heartbeat=None)
    refused(cloud, "L3 agent of net-2", "nothing tells when", "--fenced net-2")
    assert one(cloud, "L3 agent of net-2", fenced=frozenset({"net-2"})).outcome is Outcome.REPAIRED


def _beat_l3(cloud: HostCloud) -> None:
    agent(cloud, "L3 agent of net-2", heartbeat=NOW)


def _beat_conductor(cloud: HostCloud) -> None:
    cloud.services[1] = replace(cloud.services[1], updated_at=NOW)


def _beat_backup(cloud: HostCloud) -> None:
    cloud.volume_rows[1] = replace(cloud.volume_rows[1], updated_at=NOW)


@pytest.mark.parametrize(
    ("name", "beat"),
    [("L3 agent of net-2", _beat_l3), ("conductor-2", _beat_conductor), ("cinder-backup/store", _beat_backup)],
)
def test_what_reports_while_it_is_watched_is_alive(cloud: HostCloud, name: str, beat: Callable[[HostCloud], None]) -> None:
    """Still called down, as one that was forced down or whose clock is late."""
    seen = []

    def once() -> Any:
        seen.append(None)
        if len(seen) == 4:  # after the listing, the first look and that of the round
            beat(cloud)

    for call in ("compute_services", "volume_services", "agents"):
        original = getattr(cloud, call)
        setattr(cloud, call, lambda original=original, **kw: (once(), original(**kw))[1])
    item = one(cloud, name, older_than=timedelta(0))
    assert item.outcome is Outcome.REFUSED, item.reason
    assert "reported while it was watched" in item.reason
    assert cloud.sent == []


@pytest.mark.parametrize(
    ("name", "call", "beat"),
    [("conductor-2", "delete_compute", _beat_conductor), ("cinder-backup/store", "remove_volume_service", _beat_backup)],
)
def test_what_comes_back_right_before_its_end_stays(
    cloud: HostCloud, name: str, call: str, beat: Callable[[HostCloud], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.installed = {"cinder"}
    as_dead = agent_steps.as_dead
    monkeypatch.setattr(agent_steps, "as_dead", lambda *given: (beat(cloud), as_dead(*given)))
    assert one(cloud, name).outcome is not Outcome.REPAIRED
    assert call not in [what[0] for what in cloud.sent]


def test_routers_and_networks_without_a_live_agent_are_refused(cloud: HostCloud) -> None:
    for name in ("L3 agent of net-1", "L3 agent of net-20"):
        agent(cloud, name, enabled=False)
    cloud.routers["L3 agent of net-2"] = ["r1"]
    refused(cloud, "L3 agent of net-2", "no live agent can take router r1 over")


def test_a_backend_that_owns_volumes_is_refused_with_the_commands(cloud: HostCloud) -> None:
    cloud.owned[STORE] = 2
    cloud.installed = {"cinder"}
    refused(
        cloud, STORE, "2 volumes belong to store@lvm", "cinder-manage volume update_host --currenthost store@lvm#POOL",
        "openstack volume migrate", "cinder failover-host store@lvm", fenced=frozenset({"store"}),
    )


def test_a_backend_that_gets_a_volume_at_last_stays(cloud: HostCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """cinder-manage itself asks for no volumes."""
    cloud.installed = {"cinder"}
    as_dead = agent_steps.as_dead
    monkeypatch.setattr(agent_steps, "as_dead", lambda *given: (cloud.owned.update({STORE: 1}), as_dead(*given)))
    assert one(cloud, STORE).outcome is not Outcome.REPAIRED
    assert [what[0] for what in cloud.sent] == ["disable_volume_service"]


def test_that_a_service_was_disabled_is_no_sign_of_life(cloud: HostCloud) -> None:
    """Though the time that cinder's API shows moves with it."""
    cloud.installed = {"cinder"}

    def disabled(what: str) -> None:
        if what == "disable_volume_service":
            cloud.volume_rows[1] = replace(cloud.volume_rows[1], updated_at=NOW)

    cloud.before = disabled
    assert one(cloud, "cinder-backup/store").outcome is Outcome.REPAIRED


# cinder, by its command or by SQL


def _volume_row(**values: Any) -> dict[str, Any]:
    return {"id": 3, "uuid": "u", "binary": "cinder-backup", "host": "store", "report_count": 7, "updated_at": NAIVE} | values


def test_both_rows_of_one_service_go(cloud: HostCloud) -> None:
    cloud.installed = {"cinder"}
    cloud.volume_rows.append(Service("cinder-backup", "store", "down", updated_at=LONG_AGO))
    assert one(cloud, "cinder-backup/store").outcome is Outcome.REPAIRED
    assert [s.host for s in cloud.volume_rows] == [STORE, "store0@lvm"]


def test_of_two_rows_one_that_lives_keeps_both(cloud: HostCloud) -> None:
    cloud.installed = {"cinder"}
    cloud.volume_rows.append(Service("cinder-backup", "store", "up", updated_at=NOW))
    refused(cloud, "cinder-backup/store", "is up")


def test_without_cinder_manage_the_sql_is_shown_then_committed(cloud: HostCloud) -> None:
    rows = HostRows({"read_host_services.cinder": [_volume_row(), _volume_row(id=4, host="store@x")]})
    rows.done["compute_volume_service_left.cinder"] = lambda _: cloud.volume_rows.pop(1)
    name = "cinder-backup/store"
    item = one(cloud, name, rows=rows)
    assert (item.outcome, rows.committed) == (Outcome.NEEDS_COMMIT, []), item.reason
    assert [what[0] for what in cloud.sent] == ["disable_volume_service"]
    item = one(cloud, name, rows=rows, mode=Mode.COMMIT)
    assert item.outcome is Outcome.REPAIRED, item.reason
    [(file, params, _)] = rows.committed
    assert (file, params["service_id"], params["service_host"]) == ("compute_volume_service_left.cinder", 3, "store")


def test_a_service_that_was_just_disabled_is_as_old_as_its_last_report(cloud: HostCloud) -> None:
    """cinder's API shows the time of the disabling as that of its last change."""
    cloud.volume_rows[1] = replace(cloud.volume_rows[1], status="disabled", updated_at=NOW)
    rows = HostRows({"read_host_services.cinder": [_volume_row()]})
    rows.done["compute_volume_service_left.cinder"] = lambda _: cloud.volume_rows.pop(1)
    assert one(cloud, "cinder-backup/store", rows=rows, mode=Mode.COMMIT).outcome is Outcome.REPAIRED
    rows.rows["read_host_services.cinder"] = [_volume_row(updated_at=NOW.replace(tzinfo=None))]
    cloud.volume_rows.insert(1, Service("cinder-backup", "store", "down", updated_at=NOW))
    refused_as_young = one(cloud, "cinder-backup/store", rows=rows, mode=Mode.COMMIT)
    assert "less than --older-than ago" in refused_as_young.reason


def test_without_either_it_says_what_it_needs(cloud: HostCloud) -> None:
    item = one(cloud, "cinder-backup/store")
    assert (item.outcome, "needs the database of cinder" in item.reason) == (Outcome.REFUSED, True)


def test_a_row_that_moves_in_the_database_is_alive(cloud: HostCloud) -> None:
    row = _volume_row()
    rows = HostRows({"read_host_services.cinder": [row]})
    cloud.before = lambda what: row.update(report_count=8) if what == "disable_volume_service" else None
    item = one(cloud, "cinder-backup/store", rows=rows, mode=Mode.COMMIT)
    assert (item.outcome, rows.committed) == (Outcome.REFUSED, []), item.reason


# nova-compute, by the rules of compute purge


def _with_compute(cloud: HostCloud) -> str:
    cloud.add_compute("gpu-1")
    cloud.add_agent("gpu-1", "Open vSwitch agent")
    return str(cloud.services[-1].uuid)


def test_a_nova_compute_goes_as_compute_purge_does_it_and_leaves_the_others_theirs(cloud: HostCloud) -> None:
    uuid = _with_compute(cloud)
    [item] = clean(cloud, "gpu-1", service="nova")
    assert (item.id, item.outcome, item.finding) == (uuid, Outcome.REPAIRED, "compute-host-dead"), item.reason
    assert [what[0] for what in cloud.sent] == ["disable_compute", "force_down", "delete_compute"]
    assert "Open vSwitch agent of gpu-1" in cloud.all_agents
    assert not any(p.name == "gpu-1" for p in cloud.tree.values())


def test_a_nova_compute_that_compute_purge_would_refuse_is_refused(cloud: HostCloud) -> None:
    uuid = _with_compute(cloud)
    cloud.guests["vm"] = Server("vm", "vm", "p", host="gpu-1")
    refused(cloud, uuid, "1 servers are still on it (vm)")
    cloud.guests.clear()
    cloud.moves = [Migration(1, "vm", "finished")]
    refused(cloud, uuid, "1 migrations from or to it are not over")
    cloud.moves = []
    agent(cloud, "Open vSwitch agent of gpu-1", state="up")
    refused(cloud, uuid, "still reports, so the host is not dead")
