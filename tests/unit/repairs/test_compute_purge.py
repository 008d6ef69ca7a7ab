"""Which hosts are purged, in which order, and what keeps one from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opsfix import compute_steps
from opsfix.computes import PERIOD, Computes
from opsfix.engine.run import Run
from opsfix.engine.way import Approved
from opsfix.errors import CloudRefused
from opsfix.model import Item, Mode, Outcome
from opsfix.repairs import COMPUTE_PURGE
from opsfix.resources import Aggregate, Allocation, Migration, Server, Service
from opsfix.scene import Scene
from tests.fakes.hosts import LONG_AGO, HostCloud, HostRows, one_dead

GPU = "gpu-1"
#: Seconds for which a host is watched here: more than two looks take on a busy machine.
BRIEF = 0.1
NAIVE = LONG_AGO.replace(tzinfo=None)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute_steps.WatchHost, "calls", _watch_at_once)


def _watch_at_once(self: compute_steps.WatchHost, facts: Any) -> Any:
    def watch(cloud: Any, course: Any) -> None:
        assert self.seconds == PERIOD
        course.stop.wait(1.2 * BRIEF)
        cloud.before("watch")

    yield compute_steps.Call(f"watch {facts['compute.id']}", watch)


@pytest.fixture
def cloud() -> HostCloud:
    return one_dead(GPU)


def run(cloud: HostCloud, *hosts: str, mode: Mode = Mode.APPLY, rows: HostRows | None = None, cell: str | None = None,
        approved: dict[str, Approved] | None = None, **scene: Any) -> list[Item]:  # fmt: skip
    options = {"older_than": timedelta(minutes=15), "deadline": 0.3} | scene
    found = Run(
        Computes(cell, period=BRIEF), COMPUTE_PURGE, Scene(cloud, rows, **options), mode, lambda _: lambda *_, **__: None,  # type: ignore[arg-type]
        staged=True, approved=approved,
    )
    return found.find_and_repair(hosts or (GPU,), named=True)


def purge(cloud: HostCloud, **options: Any) -> Item:
    [item] = run(cloud, **options)
    return item


def refused(cloud: HostCloud, *words: str, **options: Any) -> None:
    """No mode changes anything."""
    for mode in Mode:
        item = purge(cloud, mode=mode, **options)
        assert item.outcome is Outcome.REFUSED, item.reason
        assert all(word in item.reason for word in words), item.reason
    assert cloud.sent == []


def verbs(cloud: HostCloud) -> list[str]:
    return [what[0] for what in cloud.sent]


# the way through


def test_a_dead_host_leaves_every_service(cloud: HostCloud) -> None:
    cloud.groups = [Aggregate(1, "a", (GPU, "gpu-10")), Aggregate(2, "b", ("gpu-10", "GPU-1"))]
    cloud.held["orphan"] = Allocation("orphan", {"node-0": {"VCPU": 1}})
    cloud.add_agent(GPU, "Open vSwitch agent")
    others = [p for p in cloud.tree if p != "node-0"]

    item = purge(cloud)

    assert (item.outcome, item.by) == (Outcome.REPAIRED, "api"), item.reason
    assert verbs(cloud) == [
        "disable_compute", "force_down", "leave_aggregate", "delete_allocation", "delete_compute", "delete_agent",
    ]
    assert [*cloud.tree] == others
    assert [a.hosts for a in cloud.groups] == [("gpu-10",), ("gpu-10", "GPU-1")]
    assert [s.host for s in cloud.services] == ["gpu-10", "gpu-1.site-b", "GPU-1"]


def test_a_dry_run_shows_every_stage_and_changes_nothing(cloud: HostCloud) -> None:
    cloud.add_agent(GPU, serves=("router",))
    cloud.add_agent("net-1", state="up")
    item = purge(cloud, mode=Mode.DRY_RUN)
    assert (item.outcome, cloud.sent) == (Outcome.NEEDS_COMMIT, [])
    told = " ".join(step.what for step in item.steps)
    assert all(word in told for word in ("watch", "disable", "force", "delete nova-compute", "move router", "delete l3 agent"))


def _planned(cloud: HostCloud, stages: slice) -> dict[str, Approved]:
    """What a plan of a dry run allows, or a part of it."""
    shown = purge(cloud, mode=Mode.DRY_RUN)
    return {GPU: Approved(shown.stages[stages], tuple(json.loads(json.dumps([s.as_dict() for s in shown.steps]))))}


@pytest.mark.parametrize(
    ("stages", "outcome", "words", "left"),
    [(slice(None), Outcome.REPAIRED, "read again", 0), (slice(1), Outcome.NEEDS_COMMIT, "what is left was not in it", 1)],
)
def test_a_plan_of_several_stages_is_carried_out_as_far_as_it_goes(
    cloud: HostCloud, stages: slice, outcome: Outcome, words: str, left: int
) -> None:
    cloud.add_agent(GPU, "Open vSwitch agent")
    item = purge(cloud, approved=_planned(cloud, stages))
    assert (item.outcome, words in item.reason) == (outcome, True), item.reason
    assert len(cloud.all_agents) == left


@pytest.mark.parametrize(("then", "outcome"), [((1,), Outcome.REPAIRED), ((1, 2, 3), Outcome.REFUSED)])
def test_a_plan_of_which_a_part_is_done_goes_on_and_none_that_grew(cloud: HostCloud, then: tuple[int, ...], outcome: Outcome) -> None:
    cloud.groups = [Aggregate(n, "a", (GPU,)) for n in (1, 2)]
    approved = _planned(cloud, slice(None))
    cloud.groups = [Aggregate(n, "a", (GPU,)) for n in then]
    item = purge(cloud, approved=approved)
    assert item.outcome is outcome, item.reason
    assert (GPU in [s.host for s in cloud.services]) == (outcome is Outcome.REFUSED)


def test_a_host_that_nobody_knows_is_not_found(cloud: HostCloud) -> None:
    assert [i.outcome for i in run(cloud, "gpu-2", "gpu", "gpu-%", "Gpu-1")] == [Outcome.FAILED] * 4


def test_ironic_nodes_all_go_and_those_that_moved_stay(cloud: HostCloud) -> None:
    for number in range(12):
        cloud.nodes.append(replace(cloud.nodes[0], uuid=f"ironic-{number}", name=f"ironic-{number}"))
        cloud.add_provider(f"ironic-{number}", f"ironic-{number}")
    cloud.add_provider("child", "gpu-1_pci_0", parent="node-0")
    cloud.nodes[0] = replace(cloud.nodes[0], host="gpu-10")
    item = purge(cloud)
    assert item.outcome is Outcome.REPAIRED, item.reason
    assert {"node-0", "child"} <= set(cloud.tree)
    assert not any(uuid.startswith("ironic") for uuid in cloud.tree)


def test_a_node_that_another_host_takes_over_in_the_middle_keeps_its_provider(cloud: HostCloud) -> None:
    moved = replace(cloud.nodes[0], uuid="ironic", name="ironic")
    cloud.nodes.append(moved)
    cloud.add_provider("ironic", "ironic")

    def rebalance(what: str) -> None:
        if what == "delete_compute":
            cloud.nodes.remove(moved)
            cloud.nodes.append(replace(moved, host="gpu-10"))

    cloud.before = rebalance
    assert purge(cloud).outcome is Outcome.REPAIRED
    assert "ironic" in cloud.tree


def test_a_provider_that_nova_left_is_deleted_children_first(cloud: HostCloud) -> None:
    cloud.services.pop(0)
    cloud.add_provider("child", "gpu-1_pci_0", parent="node-0")
    cloud.add_provider("grandchild", "gpu-1_pci_0_1", parent="child")
    item = purge(cloud, fenced=frozenset({GPU}))
    assert item.outcome is Outcome.REPAIRED, item.reason
    assert [what[1] for what in cloud.sent] == ["grandchild", "child", "node-0"]


def test_routers_and_networks_go_to_the_live_agent_that_has_least(cloud: HostCloud) -> None:
    cloud.add_agent("net-2", serves=("r1", "r2", "ha"))
    cloud.add_agent("net-2", "DHCP agent", serves=("n1", "n2"))
    cloud.add_agent("net-1", state="up", serves=("ha",))
    cloud.add_agent("net-3", state="up")
    cloud.add_agent("net-4", state="up", enabled=False)
    cloud.add_agent("net-5", state="up", mode="dvr")
    cloud.add_agent("net-6", "DHCP agent", state="up", serves=("n2",))
    [item] = run(cloud, "net-2")
    assert item.outcome is Outcome.REPAIRED, item.reason
    served = {agent: sorted(routers) for agent, routers in cloud.routers.items() if routers}
    assert sorted(r for routers in served.values() for r in routers) == ["ha", "r1", "r2"]
    assert set(served) == {"L3 agent of net-1", "L3 agent of net-3"}
    assert cloud.networks == {"DHCP agent of net-6": ["n2", "n1"]}


def test_cinders_services_are_disabled_and_their_rows_removed_one_by_one(cloud: HostCloud) -> None:
    twice = [Service("cinder-volume", "gpu-1@lvm", "down", updated_at=LONG_AGO)] * 2
    cloud.volume_rows = [*twice, Service("cinder-volume", "gpu-10@lvm", "up")]
    row = {"binary": "cinder-volume", "host": "gpu-1@lvm", "report_count": 3, "updated_at": NAIVE, "uuid": "u"}
    rows = HostRows({"read_host_services.cinder": [row | {"id": 1}, row | {"id": 2}]})

    def remove(params: Any) -> None:
        rows.rows["read_host_services.cinder"] = [r for r in rows.rows["read_host_services.cinder"] if r["id"] != params["service_id"]]
        cloud.volume_rows.pop(0)

    rows.done["compute_volume_service_left.cinder"] = remove
    cloud.services.pop(0)
    cloud.nodes.pop(0)
    cloud.tree.pop("node-0")
    assert purge(cloud, rows=rows, mode=Mode.APPLY).outcome is Outcome.NEEDS_COMMIT
    item = purge(cloud, rows=rows, mode=Mode.COMMIT)
    assert item.outcome is Outcome.REPAIRED, item.reason
    assert verbs(cloud) == ["disable_volume_service"] * 2
    assert [params["service_id"] for _, params, _ in rows.committed] == [1, 2]
    assert [s.host for s in cloud.volume_rows] == ["gpu-10@lvm"]


def test_allocations_that_placement_does_not_list_need_its_database(cloud: HostCloud) -> None:
    cloud.services.pop(0)
    cloud.hidden["node-0"] = {"VCPU": 1}
    item = purge(cloud, fenced=frozenset({GPU}))
    assert item.outcome is Outcome.REFUSED
    assert "database of placement" in item.reason

    rows = HostRows({"read_allocations_unseen.placement": [{"provider": "node-0", "consumer": "unseen"}]}, configured=("placement",))

    def delete(params: Any) -> None:
        assert params == {"provider_id": "node-0", "consumer_id": "unseen"}
        rows.rows.clear()
        cloud.hidden.clear()

    rows.done["compute_allocation_left.placement"] = delete
    item = purge(cloud, rows=rows, fenced=frozenset({GPU}), mode=Mode.COMMIT)
    assert item.outcome is Outcome.REPAIRED, item.reason
    assert "node-0" not in cloud.tree


# what is refused


def _change(**values: Any) -> Callable[[HostCloud], None]:
    def change(cloud: HostCloud) -> None:
        cloud.services[0] = replace(cloud.services[0], **values)

    return change


def test_a_nova_compute_that_lives_is_never_touched(cloud: HostCloud) -> None:
    _change(state="up", updated_at=datetime.now(UTC))(cloud)
    refused(cloud, "nova-compute on gpu-1 is up")
    refused(cloud, "up, yet said to be fenced", fenced=frozenset({GPU}))
    refused(cloud, "nova-compute on gpu-1 is up", older_than=timedelta(0))


def test_a_young_heartbeat_is_refused_unless_fenced(cloud: HostCloud) -> None:
    _change(updated_at=datetime.now(UTC) - timedelta(minutes=5))(cloud)
    refused(cloud, "less than --older-than ago")
    refused(cloud, "less than --older-than ago", fenced=frozenset({"gpu-10", "GPU-1"}))
    assert purge(cloud, fenced=frozenset({GPU})).outcome is Outcome.REPAIRED


@pytest.mark.parametrize("fenced", [frozenset(), frozenset({GPU})])
def test_a_host_that_stirs_while_it_is_watched_is_refused(cloud: HostCloud, fenced: frozenset[str]) -> None:
    cloud.before = lambda what: _change(updated_at=datetime.now(UTC))(cloud) if what == "watch" else None
    item = purge(cloud, fenced=fenced, mode=Mode.COMMIT)
    assert (item.outcome, cloud.sent) == (Outcome.REFUSED, [])
    assert "reported while it was watched" in item.reason


def test_a_host_that_reports_after_the_watch_is_noticed_in_the_database(cloud: HostCloud) -> None:
    row = {"id": 1, "uuid": "service-0", "host": GPU, "cell": "cell1", "deleted": 0, "last_seen_up": NAIVE, "report_count": 3}
    rows = HostRows({"read_host_services.nova": [row]}, configured=("nova_api", "nova"))
    cloud.before = lambda what: row.update(report_count=4) if what == "force_down" else None
    item = purge(cloud, rows=rows)
    assert item.outcome is Outcome.REFUSED, item.reason
    assert verbs(cloud) == ["disable_compute", "force_down"]


def test_a_host_that_registers_again_in_the_middle_is_left_alone(cloud: HostCloud) -> None:
    cloud.add_agent(GPU)

    def revive(what: str) -> None:
        if what == "delete_compute":
            cloud.all_agents = {i: replace(a, state="up", heartbeat=datetime.now(UTC)) for i, a in cloud.all_agents.items()}

    cloud.before = revive
    item = purge(cloud)
    assert item.outcome is Outcome.REFUSED
    assert "delete_agent" not in verbs(cloud)


@pytest.mark.parametrize("kind", ["L3 agent", "Open vSwitch agent", "OVN Controller agent"])
def test_a_live_agent_is_a_live_host(cloud: HostCloud, kind: str) -> None:
    cloud.add_agent(GPU, kind, state="up")
    refused(cloud, kind.lower(), "still reports", fenced=frozenset({GPU}))


def test_an_agent_that_reports_right_before_its_deletion_is_kept(cloud: HostCloud) -> None:
    cloud.add_agent("net-2", "Open vSwitch agent")
    cloud.add_agent("net-2", serves=("router",))
    cloud.add_agent("net-1", state="up")

    def revive(what: str) -> None:
        if what == "add_router":
            cloud.all_agents["Open vSwitch agent of net-2"] = replace(cloud.all_agents["Open vSwitch agent of net-2"], state="up")

    cloud.before = revive
    [item] = run(cloud, "net-2")
    assert item.outcome in (Outcome.FAILED, Outcome.REFUSED)
    assert "Open vSwitch agent of net-2" in cloud.all_agents


def test_a_live_backend_is_a_live_host(cloud: HostCloud) -> None:
    cloud.volume_rows = [Service("cinder-volume", "gpu-1@lvm", "up")]
    refused(cloud, "cinder-volume gpu-1@lvm of cinder")


def test_a_backend_with_volumes_is_refused(cloud: HostCloud) -> None:
    cloud.volume_rows = [Service("cinder-volume", "gpu-1@lvm", "down", updated_at=LONG_AGO)]
    cloud.owned["gpu-1@lvm"] = 2
    refused(cloud, "2 volumes have their only backend on it (gpu-1@lvm)")


def test_servers_are_named(cloud: HostCloud) -> None:
    cloud.guests["s1"] = Server("s1", "n", "p", host=GPU)
    refused(cloud, "1 servers are still on it (s1)", "instance purge --on-hosts")


def test_soft_deleted_servers_are_found_in_the_database(cloud: HostCloud) -> None:
    rows = HostRows({"read_host_servers.nova": [{"uuid": "s1", "cell": "cell1"}]}, configured=("nova_api", "nova"))
    refused(cloud, "1 servers are still on it (s1)", rows=rows, fenced=frozenset({GPU}))


@pytest.mark.parametrize("status", ["finished", "migrating", "accepted"])
def test_migrations_that_go_on_are_named(cloud: HostCloud, status: str) -> None:
    cloud.moves = [Migration(1, "s1", status, "resize", "m1"), Migration(2, "s2", "done", "evacuation", "m2")]
    refused(cloud, "1 migrations", f"resize of server s1: {status}")


def test_a_down_cell_proves_nothing(cloud: HostCloud) -> None:
    cloud.services.append(Service("nova-compute", "far", "unknown"))
    refused(cloud, "a cell of nova is down")


@pytest.mark.parametrize(
    ("kind", "server", "words"),
    [
        (None, Server("c", "n", "p", vm_state="building"), "on its way to a host"),
        (None, Server("c", "n", "p", answered=False), "whose cell is down"),
        ("CONTAINER", None, "of type CONTAINER"),
    ],
)
def test_consumers_that_are_not_proven_dead_are_named(
    cloud: HostCloud, kind: str | None, server: Server | None, words: str
) -> None:
    cloud.held["c"] = Allocation("c", {"node-0": {"VCPU": 1}}, type=kind)
    if server:
        cloud.guests["c"] = server
    refused(cloud, "1 consumers of its resource providers are not proven dead", words)


def test_the_allocation_of_a_migration_that_goes_on_is_kept(cloud: HostCloud) -> None:
    cloud.held["m1"] = Allocation("m1", {"node-0": {"VCPU": 1}}, type="MIGRATION")
    cloud.moves = [Migration(1, "s1", "finished", "resize", "m1")]
    refused(cloud, "resize of server s1")
    cloud.moves = [replace(cloud.moves[0], status="confirmed")]
    assert purge(cloud).outcome is Outcome.REPAIRED


def test_what_an_evacuated_server_holds_is_named_with_the_command_that_frees_it(cloud: HostCloud) -> None:
    cloud.services.pop(0)
    cloud.guests["s1"] = Server("s1", "n", "p", host="gpu-10", vm_state="active")
    cloud.held["s1"] = Allocation("s1", {"node-0": {"VCPU": 1}, "node-1": {"VCPU": 1}})
    refused(cloud, "allocation unset --provider node-0 s1", fenced=frozenset({GPU}))


def test_a_consumer_that_appears_at_last_keeps_its_allocation(cloud: HostCloud) -> None:
    cloud.held["c"] = Allocation("c", {"node-0": {"VCPU": 1}})
    cloud.before = lambda what: cloud.guests.setdefault("c", Server("c", "n", "p")) and None if what == "force_down" else None
    item = purge(cloud)
    assert item.outcome is not Outcome.REPAIRED
    assert "c" in cloud.held


def test_routers_that_no_live_agent_can_take_are_named(cloud: HostCloud) -> None:
    cloud.add_agent("net-2", serves=("r1",))
    cloud.add_agent("net-1", state="up", mode="dvr")
    cloud.add_agent("net-3")
    [item] = run(cloud, "net-2")
    assert item.outcome is Outcome.REFUSED
    assert "no live agent can take router r1 over" in item.reason


def test_a_host_of_which_nothing_tells_when_it_lived_has_to_be_fenced(cloud: HostCloud) -> None:
    cloud.services.pop(0)
    refused(cloud, "nothing tells when gpu-1 last lived", "--fenced gpu-1")


def test_a_service_that_was_removed_tells_when_its_host_last_lived(cloud: HostCloud) -> None:
    cloud.services.pop(0)
    seen = {"id": 1, "uuid": "service-0", "host": GPU, "report_count": 3, "cell": "cell1", "deleted": 1}
    now = datetime.now(UTC).replace(tzinfo=None)
    rows = HostRows({"read_host_services.nova": [seen | {"last_seen_up": now}]}, configured=("nova_api", "nova"))
    refused(cloud, "less than --older-than ago", rows=rows)
    rows.rows["read_host_services.nova"] = [seen | {"last_seen_up": NAIVE}]
    assert purge(cloud, rows=rows).outcome is Outcome.REPAIRED


def test_a_name_in_two_cells_has_to_say_which(cloud: HostCloud) -> None:
    cloud.services.append(replace(cloud.services[0], uuid="service-9"))
    refused(cloud, "2 cells have a host of this name", "--cell CELL")
    refused(cloud, "2 cells have a host of this name", cell="cell1")


def test_in_two_cells_only_the_chosen_ones_rows_go_and_by_sql(cloud: HostCloud) -> None:
    """The other cell's machine of that name lives: nothing that goes by the name is touched."""
    cloud.services.append(replace(cloud.services[0], uuid="service-9", state="up", updated_at=datetime.now(UTC)))
    cloud.groups = [Aggregate(1, "a", (GPU,))]
    cloud.add_agent(GPU, state="up")
    row = {"host": GPU, "report_count": 3, "deleted": 0, "last_seen_up": NAIVE}
    services = [row | {"id": 1, "uuid": "service-0", "cell": "cell1"}, row | {"id": 1, "uuid": "service-9", "cell": "cell2"}]
    rows = HostRows({"read_host_services.nova": services, "read_cells.nova_api": [{"uuid": "cell1", "name": "north"}]})
    refusal = purge(cloud, rows=rows, mode=Mode.COMMIT)
    assert "2 cells" in refusal.reason

    def remove(params: Any) -> None:
        assert params == {"service_id": 1, "service_uuid": "service-0", "report_count": 3, "host": GPU}
        rows.rows["read_host_services.nova"] = services[1:]
        cloud.services.pop(0)

    rows.done["compute_service_twin.nova"] = remove
    item = purge(cloud, rows=rows, mode=Mode.COMMIT, cell="north")
    assert [(name, cell) for name, _, cell in rows.committed] == [("compute_service_twin.nova", "cell1")]
    assert (item.outcome, cloud.sent) == (Outcome.REPAIRED, []), item.reason
    assert purge(cloud, rows=rows, mode=Mode.COMMIT, cell="north").outcome is Outcome.FAILED
    assert "0 cells of nova are called 'nowhere': there are north (cell1)" in purge(cloud, rows=rows, cell="nowhere").reason
    assert [s.uuid for s in cloud.services if s.host == GPU] == ["service-9"]
    assert cloud.groups[0].hosts == (GPU,)


def test_a_refusal_of_nova_ends_it(cloud: HostCloud) -> None:
    cloud.refuses["delete_compute"] = CloudRefused(409, "Unable to delete compute service that is hosting instances.")
    item = purge(cloud, mode=Mode.COMMIT)
    assert item.outcome is Outcome.FAILED
    assert "hosting instances" in item.reason
