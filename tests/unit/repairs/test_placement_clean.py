"""Which allocations and providers are nobody's, and what keeps one from being taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opsfix.engine.run import Run
from opsfix.errors import CloudUnknown, GuardError
from opsfix.model import Item, Mode, Outcome
from opsfix.placement_find import COMPUTE_NODE, MANY
from opsfix.placements import Placements
from opsfix.repairs import PLACEMENT_CLEAN
from opsfix.resources import Allocation, Migration, Server
from opsfix.scene import Scene
from tests.fakes.hosts import HostCloud, HostRows

GPU, NODE = "gpu-1", "node-0"
ORPHAN = "orphan"
BRIEF = 0.01
LONG_AGO = datetime(2024, 2, 29, 23, 59, 58)  # noqa: DTZ001 - placement stores naive UTC


@pytest.fixture
def cloud() -> HostCloud:
    """A host that is up, with its node and provider, a server that holds what it should, and an orphan."""
    made = HostCloud()
    made.add_compute(GPU, state="up")
    made.traits[NODE] = {COMPUTE_NODE}
    guest(made, "server")
    hold(made, ORPHAN)
    return made


def guest(cloud: HostCloud, server: str, *, holds: bool = True, **values: Any) -> None:
    cloud.guests[server] = replace(Server(server, server, "p", "active", host=GPU, node=GPU), **values)
    if holds:
        hold(cloud, server)


def hold(cloud: HostCloud, consumer: str, provider: str = NODE, **values: Any) -> None:
    resources = values.pop("resources", {"VCPU": 2, "MEMORY_MB": 64})
    cloud.held[consumer] = replace(Allocation(consumer, {provider: resources}, 1, "p", "INSTANCE"), **values)


class Rows(HostRows):
    """Of the nodes those that are asked for."""

    def read(self, name: str, params: Mapping[str, Any], *, cell: str | None = None) -> list[dict[str, Any]]:
        found = super().read(name, params, cell=cell)
        return [r for r in found if r["uuid"] in params["nodes"]] if name == "read_nodes_known.nova" else found


def tables(**rows: list[dict[str, Any]]) -> HostRows:
    """Databases whose nova knows the node; reads by their names, a dot as two underscores."""
    found = {"read_nodes_known.nova": [{"uuid": NODE, "name": GPU, "host": GPU, "deleted": 0}]}
    return Rows(found | {name.replace("__", "."): kept for name, kept in rows.items()})


def _row(server: Server) -> dict[str, Any]:
    told = {name: getattr(server, name) for name in ("host", "node", "vm_state", "task_state")}
    return told | {"uuid": server.id, "cell": "cell1"}


def run(cloud: HostCloud, *ids: str, mode: Mode = Mode.APPLY, rows: HostRows | None = None, older: float = 0) -> list[Item]:
    subject = Placements(period=BRIEF)
    if rows is not None:
        rows.rows["read_server_page.nova"] = [_row(s) for s in cloud.servers()]
    scene = Scene(cloud, rows, older_than=timedelta(minutes=older), deadline=0.3)  # type: ignore[arg-type]
    made = Run(subject, PLACEMENT_CLEAN, scene, mode, lambda _: lambda *_, **__: None)
    return made.find_and_repair(ids or subject.find(scene), named=bool(ids))


def one(cloud: HostCloud, subject_id: str = ORPHAN, **options: Any) -> Item:
    [item] = run(cloud, subject_id, **options)
    return item


def left_alone(cloud: HostCloud, *words: str, subject_id: str = ORPHAN, outcome: Outcome = Outcome.HEALTHY, **options: Any) -> None:
    """No mode changes anything, and the reason says why; nor is it among all that is found."""
    for mode in Mode:
        item = one(cloud, subject_id, mode=mode, **options)
        assert (item.outcome, [w for w in words if w not in item.reason]) == (outcome, []), item.reason
        if outcome is Outcome.HEALTHY:
            assert subject_id not in {i.id for i in run(cloud, mode=mode, **options)}
    assert [what for what in cloud.sent if what[1] == subject_id] == []


# allocations


def test_an_orphan_goes_and_nothing_else(cloud: HostCloud) -> None:
    assert [(i.id, i.finding, i.outcome) for i in run(cloud, mode=Mode.DRY_RUN)] == [
        (ORPHAN, "placement-allocation-orphaned", Outcome.NEEDS_COMMIT)
    ]
    assert cloud.sent == []
    [item] = run(cloud)
    assert (item.outcome, item.by, cloud.sent) == (Outcome.REPAIRED, "api", [("delete_allocation", ORPHAN)]), item.reason
    assert [*cloud.held] == ["server"]
    assert run(cloud) == []


def test_a_server_keeps_what_it_holds(cloud: HostCloud) -> None:
    left_alone(cloud, "it is server server on gpu-1", subject_id="server")


@pytest.mark.parametrize("values", [
    {"host": None, "node": None, "vm_state": "building", "task_state": "scheduling"},
    {"vm_state": "resized"}, {"vm_state": "soft-delete"}, {"vm_state": "error", "host": None}, {"task_state": "deleting"},
], ids=str)
def test_a_server_in_flight_keeps_it(cloud: HostCloud, values: dict[str, Any]) -> None:
    guest(cloud, ORPHAN, **values)
    left_alone(cloud, "it is server")


@pytest.mark.parametrize("status", ["queued", "preparing", "running", "post-migrating", "finished", "reverting", "confirming"])
def test_a_migration_keeps_its_source(cloud: HostCloud, status: str) -> None:
    cloud.moves = [Migration(1, "server", status, "resize", ORPHAN)]
    left_alone(cloud, "migration that is going on")
    row = {"uuid": ORPHAN, "id": 1, "instance_uuid": "server", "status": status, "migration_type": "resize"}
    cloud.moves = []
    left_alone(cloud, "migration that is going on", rows=tables(read_migrations_named__nova=[row]))


@pytest.mark.parametrize("status", ["confirmed", "error", "completed"])
def test_a_migration_that_is_over_does_not(cloud: HostCloud, status: str) -> None:
    cloud.moves = [Migration(1, "server", status, "resize", ORPHAN)]
    assert one(cloud).outcome is Outcome.REPAIRED


def test_another_services_consumer_keeps_it(cloud: HostCloud) -> None:
    hold(cloud, ORPHAN, type="CONTAINER")
    left_alone(cloud, "is no server but of type CONTAINER")


def test_classes_that_no_server_asks_for_are_refused(cloud: HostCloud) -> None:
    hold(cloud, ORPHAN, resources={"VCPU": 1, "FPGA": 1})
    left_alone(cloud, "FPGA", outcome=Outcome.REFUSED)


def test_where_others_use_placement_an_unknown_consumer_is_refused(cloud: HostCloud) -> None:
    cloud.service_types |= {"reservation"}
    hold(cloud, ORPHAN, type="unknown")
    left_alone(cloud, "type reservation", outcome=Outcome.REFUSED)
    hold(cloud, ORPHAN, type="MIGRATION")
    assert one(cloud).outcome is Outcome.REPAIRED


def test_a_row_that_the_api_does_not_show_keeps_it(cloud: HostCloud) -> None:
    left_alone(cloud, "only nova's database has", rows=tables(read_server_live__nova=[{"uuid": ORPHAN}]))


def test_nothing_is_said_while_a_cell_is_down(cloud: HostCloud) -> None:
    cloud.services[0] = replace(cloud.services[0], state="unknown")
    left_alone(cloud, "a cell of nova is down", outcome=Outcome.UNKNOWN)
    with pytest.raises(CloudUnknown):
        run(cloud)


def test_what_moves_between_the_looks_is_refused(cloud: HostCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    generations = iter(range(100))
    monkeypatch.setattr(cloud, "allocation", lambda c: replace(cloud.held[c], generation=next(generations)) if c in cloud.held else None)
    left_alone(cloud, "it changed while it was looked at twice", outcome=Outcome.REFUSED)


def test_a_server_that_comes_to_be_between_the_looks_is_left_alone(cloud: HostCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def server(server_id: str) -> Server | None:
        asked.append(server_id)
        return None if len(asked) <= 2 else Server(server_id, "late", "p", "building")

    monkeypatch.setattr(cloud, "server", server)
    assert one(cloud).outcome is Outcome.HEALTHY
    assert cloud.sent == []


def test_a_young_one_waits(cloud: HostCloud) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    rows = tables(read_consumer__placement=[{"generation": 1, "created_at": LONG_AGO, "updated_at": now, "settled": 0}])
    left_alone(cloud, "less than --older-than ago", outcome=Outcome.REFUSED, rows=rows, older=15)
    assert run(cloud, rows=rows, older=15) == []


def test_one_that_nobody_knows_is_not_found(cloud: HostCloud) -> None:
    assert one(cloud, "nobody").outcome is Outcome.FAILED


def test_a_placement_of_strangers_is_refused_as_a_whole(cloud: HostCloud) -> None:
    for number in range(MANY):
        hold(cloud, f"strange-{number}")
    with pytest.raises(GuardError, match="another nova"):
        run(cloud)


def test_a_server_without_an_allocation_is_reported(cloud: HostCloud) -> None:
    guest(cloud, "poor", holds=False)
    left_alone(cloud, "nova-manage placement heal_allocations --instance poor", subject_id="poor", outcome=Outcome.REFUSED)
    assert {i.id: i.finding for i in run(cloud, mode=Mode.DRY_RUN)}["poor"] == "placement-allocation-missing"
    cloud.moves = [Migration(1, "poor", "running", "live-migration", "m")]
    left_alone(cloud, subject_id="poor")


@pytest.mark.parametrize("values", [{"task_state": "spawning"}, {"host": None}, {"vm_state": "shelved_offloaded"}, {"node": None}])
def test_a_server_that_need_not_have_one_is_not(cloud: HostCloud, values: dict[str, Any]) -> None:
    guest(cloud, "poor", holds=False, **values)
    left_alone(cloud, subject_id="poor")


# what only placement's database tells


def test_what_has_no_record_goes_provider_by_provider(cloud: HostCloud) -> None:
    del cloud.held[ORPHAN]
    kept = [{"provider": NODE}, {"provider": "other"}]
    rows = tables(read_consumer_unseen__placement=kept, read_allocations_unseen__placement=[{"provider": NODE, "consumer": ORPHAN}])
    rows.done["compute_allocation_left.placement"] = lambda _: kept.pop(0)
    [item] = run(cloud, rows=rows, mode=Mode.COMMIT)
    assert (item.finding, item.outcome) == ("placement-allocation-unrecorded", Outcome.REPAIRED), item.reason
    assert [values for _, values, _ in rows.committed] == [
        {"provider_id": p, "consumer_id": ORPHAN} for p in (NODE, "other")
    ]


def test_what_a_live_server_has_without_a_record_stays(cloud: HostCloud) -> None:
    del cloud.held[ORPHAN]
    guest(cloud, ORPHAN, holds=False)
    left_alone(
        cloud, "placement-manage db online_data_migrations", outcome=Outcome.REFUSED,
        rows=tables(read_consumer_unseen__placement=[{"provider": NODE}]),
    )


def test_without_the_database_it_is_only_known_that_there_is_something(cloud: HostCloud) -> None:
    cloud.hidden[NODE] = {"VCPU": 3}
    item = one(cloud, NODE)
    assert (item.finding, item.outcome) == ("placement-allocation-unrecorded", Outcome.REFUSED)
    assert "placement" in item.reason
    assert NODE in {i.id for i in run(cloud, mode=Mode.DRY_RUN)}


def record(**values: Any) -> HostRows:
    row = {"generation": 3, "created_at": LONG_AGO, "updated_at": None, "settled": 1} | values
    return tables(read_consumer__placement=[row], read_consumers_empty__placement=[{"consumer": ORPHAN}])


def test_an_empty_record_goes(cloud: HostCloud) -> None:
    del cloud.held[ORPHAN]
    rows = record()
    rows.done["placement_consumer_empty.placement"] = lambda _: rows.rows["read_consumer.placement"].clear()
    [item] = run(cloud, rows=rows, mode=Mode.COMMIT)
    assert (item.finding, item.outcome) == ("placement-consumer-empty", Outcome.REPAIRED), item.reason
    assert rows.committed[0][1] == {"consumer_id": ORPHAN, "generation": 3}


def test_an_empty_record_of_this_hour_or_of_a_server_stays(cloud: HostCloud) -> None:
    del cloud.held[ORPHAN]
    left_alone(cloud, rows=record(settled=0))
    guest(cloud, ORPHAN, holds=False, task_state="spawning")
    left_alone(cloud, rows=record())


# providers


@pytest.fixture
def ghost(cloud: HostCloud) -> HostCloud:
    """Besides, a provider of nova's without a node, with one below it."""
    cloud.add_provider("ghost", "gpu-9")
    cloud.add_provider("child", "gpu-9-numa", "ghost")
    cloud.traits["ghost"] = {COMPUTE_NODE}
    del cloud.held[ORPHAN]
    return cloud


def test_a_provider_without_a_node_goes_with_what_dead_consumers_hold(ghost: HostCloud) -> None:
    hold(ghost, ORPHAN, "child")
    items = {i.id: i for i in run(ghost, "ghost", rows=tables())}
    assert items["ghost"].outcome is Outcome.REPAIRED, items["ghost"].reason
    assert ghost.sent == [("delete_allocation", ORPHAN), ("delete_provider", "child"), ("delete_provider", "ghost")]
    assert [*ghost.tree] == [NODE]
    assert run(ghost, rows=tables()) == []


def test_one_whose_node_is_marked_as_deleted_goes_without_the_trait(ghost: HostCloud) -> None:
    ghost.traits.clear()
    rows = tables()
    rows.rows["read_nodes_known.nova"] = [{"uuid": "ghost", "name": "gpu-9", "host": "gpu-9", "deleted": 7}]
    assert one(ghost, "ghost", rows=rows).outcome is Outcome.REPAIRED


def test_one_that_nova_did_not_make_stays(ghost: HostCloud) -> None:
    ghost.traits.clear()
    rows = tables()
    rows.rows["read_nodes_known.nova"] = []
    left_alone(ghost, "nova did not make it", subject_id="ghost", rows=rows)


def test_one_below_another_stays(ghost: HostCloud) -> None:
    item = one(ghost, "child", rows=tables())
    assert (item.outcome, ghost.sent) == (Outcome.HEALTHY, [])
    assert "below another provider" in item.reason


def test_without_novas_database_a_node_may_only_be_hidden(ghost: HostCloud) -> None:
    left_alone(ghost, "only nova's database tells", subject_id="ghost", outcome=Outcome.REFUSED)


@pytest.mark.parametrize(("values", "says"), [
    ({"node": GPU}, "openstack resource provider allocation unset --provider ghost busy"),
    ({"node": "gpu-9", "host": "gpu-9"}, "runs under that name"),
    ({"host": None}, "on its way to a host"),
])
def test_one_of_which_a_server_holds_something_stays(ghost: HostCloud, values: dict[str, Any], says: str) -> None:
    guest(ghost, "busy", holds=False, **values)
    hold(ghost, "busy", "ghost")
    rows = tables()
    rows.rows["read_nodes_known.nova"] = []
    left_alone(ghost, says, subject_id="ghost", outcome=Outcome.REFUSED, rows=rows)


def test_a_renamed_host_is_reported(cloud: HostCloud) -> None:
    rows = tables()
    rows.rows["read_nodes_known.nova"][0]["name"] = "gpu-new"
    left_alone(cloud, "openstack resource provider set node-0 --name gpu-new", subject_id=NODE, outcome=Outcome.REFUSED, rows=rows)


def test_a_providers_name_is_compared_exactly(cloud: HostCloud) -> None:
    cloud.add_provider("upper", "GPU-1")
    scene = Scene(cloud, None)  # type: ignore[arg-type]
    assert Placements().named(scene, "gpu-1") == [(NODE, "")]
