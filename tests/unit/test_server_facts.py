"""What is read of a server, as facts, and which repair they lead to: each guard has a case that it refuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from opsfix.engine.plan import Planned, plan
from opsfix.guards import Unread, said
from opsfix.ports import Cloud
from opsfix.repairs import INSTANCE_PURGE
from opsfix.resources import Allocation, Attachment, Migration, Port, Server, Service
from opsfix.scene import Scene
from opsfix.server_case import ServerCase, migrations_of, own_ports
from opsfix.server_facts import facts_of

ID, HOST = "5e4e4000-0000-4000-8000-00000000000a", "gpu-1"
NOW = datetime.now(UTC).replace(microsecond=0)
LONG_AGO, JUST_NOW = NOW - timedelta(hours=5), NOW - timedelta(seconds=5)


@dataclass
class Services:
    """A cloud that only knows which hosts live."""

    states: dict[str, str] = field(default_factory=lambda: {HOST: "up", "gpu-2": "down", "gpu-3": "up"})

    def compute_services(self) -> list[Service]:
        return [Service("nova-compute", host, state, updated_at=LONG_AGO) for host, state in self.states.items()]

    def volume_services(self) -> list[Service]:
        return []


class Configured:
    """Databases of nova that are configured."""

    def names(self) -> list[str]:
        return ["nova_api", "nova"]


def server(**values: Any) -> Server:
    """A server at rest on gpu-1."""
    defaults: dict[str, Any] = {"vm_state": "active", "host": HOST, "node": HOST, "updated_at": LONG_AGO}
    return Server(id=ID, name="web", project_id="p", **defaults | values)


def row(**values: Any) -> dict[str, Any]:
    """Its row in a cell."""
    naive = LONG_AGO.replace(tzinfo=None)
    defaults = {
        "id": 7, "cell": "cell1", "host": HOST, "node": HOST, "vm_state": "active", "task_state": None, "locked": 0,
        "disable_terminate": 0, "created_at": naive, "updated_at": naive, "deleted_at": None, "deleted": 0, "volumes": 0,
        "network_info": "[]", "referenced": 0, "display_name": "web", "project_id": "p",
    }
    return defaults | values


def mapping(**values: Any) -> dict[str, Any]:
    """Its mapping."""
    naive = LONG_AGO.replace(tzinfo=None)
    return {"id": 3, "queued_for_delete": 0, "cell_uuid": "cell1", "created_at": naive, "updated_at": naive} | values


def attachment(status: str = "attached", host: str | None = HOST) -> Attachment:
    """An attachment of it."""
    return Attachment("a", "v", status, ID, connected=status == "attached", host=host)


def moving(status: str = "running", source: str = HOST, dest: str = "gpu-3", kind: str = "live-migration") -> Migration:
    """A migration of it."""
    return Migration(1, ID, status, kind, "m", source, dest)


def facts(
    case: ServerCase, *, fenced: tuple[str, ...] = (), database: bool = True, unlock: bool = False, rows: bool = False,
    older_than: timedelta = timedelta(minutes=15),
) -> dict[str, Any]:
    """The facts as ``opsfix.servers`` states them."""
    scene = Scene(cast(Cloud, Services()), cast(Any, Configured()) if database else None, older_than, frozenset(fenced))
    locked = bool(case.server and case.server.locked)
    return facts_of(case, scene, own_ports(case)) | {
        "server.locked": locked, "server.locked_out": locked and not unlock, "server.unlock": unlock,
        "rows.wanted": rows, "rows.proof_due": False,
    }


def planned(case: ServerCase, **given: Any) -> Planned:
    """What the first round would do."""
    return plan("server", INSTANCE_PURGE, facts(case, **given), check_age=True)


def present(live: dict[str, Any] | None = None, **values: Any) -> ServerCase:
    """nova has it."""
    kept = row(**(live or {}))
    shown = {name: kept[name] for name in ("vm_state", "task_state", "host")}
    return ServerCase(ID, server(**shown | values.pop("shown", {})), kept, 1, mapping(), **values)


def gone(**values: Any) -> ServerCase:
    """Deleted on gpu-1, as nova does it."""
    kept = row(deleted=7, vm_state="deleted", **values.pop("kept", {}))
    return ServerCase(ID, None, kept, 0, mapping(queued_for_delete=1), **values)


def found(result: Planned) -> tuple[str | None, str | None]:
    """Symptom and refusal."""
    return result.repair.symptom if result.repair else None, result.refusal


@pytest.mark.parametrize("live", [
    {}, {"vm_state": "error"}, {"vm_state": "stopped"}, {"vm_state": "soft-delete"}, {"host": None, "vm_state": "error"},
    {"host": "gpu-2"}, {"host": "gone"},
], ids=str)
def test_a_server_that_rests_is_deleted_at_once(live: dict[str, Any]) -> None:
    assert found(planned(present(live | {"updated_at": JUST_NOW.replace(tzinfo=None)}))) == ("instance-present", None)


@pytest.mark.parametrize(("case", "given", "word"), [
    (present(shown={"locked": True}), {}, "--unlock"),
    (present(shown={"answered": False}), {}, "cell is down"),
    (present({"task_state": "spawning", "vm_state": "building"}), {}, "being built"),
    (present({"task_state": "resize_migrating"}), {}, "being built or moved"),
    (present(migrations=(moving(),)), {}, "being built or moved"),
    (present({"host": "gpu-2"}, migrations=(moving(source="gpu-2"),)), {}, "being built or moved"),
    (present({"vm_state": "resized", "host": "gpu-2"}, migrations=(moving("finished", "gpu-2", "gpu-2"),)), {}, "resize waits"),
    (present({"vm_state": "resized"}, migrations=(moving("finished", "gpu-3", HOST),)), {}, "resize waits"),
    (present({"host": "gpu-2", "volumes": 1}), {}, "--fenced gpu-2"),
    (present({"host": "gpu-2"}, attachments=(attachment(host="gpu-2"),)), {}, "--fenced gpu-2"),
    (present({"host": "gone", "volumes": 1}), {}, "--fenced gone"),
    (present({"volumes": 1}), {"fenced": (HOST,)}, "up, yet said to be fenced"),
], ids=lambda v: v if isinstance(v, str) else "")
def test_a_server_is_refused(case: ServerCase, given: dict[str, Any], word: str) -> None:
    symptom, refusal = found(planned(case, **given))
    assert symptom == "instance-present"
    assert word in (refusal or "")


@pytest.mark.parametrize(("case", "given"), [
    (present(shown={"locked": True}), {"unlock": True}),
    (present({"host": "gpu-2", "volumes": 1}), {"fenced": ("gpu-2",)}),
    (present({"host": "gpu-2", "task_state": "spawning", "vm_state": "building"}), {}),
    (present({"host": None, "task_state": "scheduling", "vm_state": "building"}), {}),
    (present(migrations=(moving("completed"),)), {}),
    (present({"host": "gpu-2"}, attachments=(attachment("reserved", None),)), {}),
    (present({"task_state": "deleting"}), {}),
])
def test_a_server_is_let_go(case: ServerCase, given: dict[str, Any]) -> None:
    assert found(planned(case, **given)) == ("instance-present", None)


def test_what_is_at_work_must_be_old() -> None:
    young = present({"task_state": "deleting", "updated_at": JUST_NOW.replace(tzinfo=None)})
    assert planned(young).young
    assert not planned(young, older_than=timedelta(0)).young


def test_a_dead_host_may_write_without_any_database_too() -> None:
    case = ServerCase(ID, server(host="gpu-2", volume_ids=("v",)))
    assert "--fenced gpu-2" in (planned(case, database=False).refusal or "")
    assert planned(case, database=False, fenced=("gpu-2",)).refusal is None


def test_volumes_that_go_too_are_named() -> None:
    assert facts(present(doomed=("data (v1)", "v2")))["volumes.doomed"] == "data (v1), v2"
    assert facts(present())["volumes.doomed"] == "no volume"
    for case in (present({"disable_terminate": 1}, doomed=("data (v1)",)), hidden(doomed=("data (v1)",))):
        repair = planned(case).repair
        assert repair is not None
        assert said(repair.loses, facts(case)) == "nova deletes it then, and with it: data (v1)"


def test_a_server_that_must_not_be_terminated_comes_first() -> None:
    assert found(planned(present({"disable_terminate": 1}))) == ("instance-terminate-disabled", None)


def hidden(**values: Any) -> ServerCase:
    """The API does not find it."""
    found_mapping = values.pop("found", mapping(cell_uuid=None))
    return ServerCase(ID, None, row(**values.pop("live", {})), values.pop("live_rows", 1), found_mapping, **values)


def test_a_mapping_without_a_cell_is_mended_and_another_is_not() -> None:
    mended = planned(hidden())
    assert mended.repair is not None
    assert mended.repair.fallback is not None
    assert mended.repair.fallback.sql == "instance_hidden.nova_api"
    for other in (None, mapping(cell_uuid="cell2")):
        deleted = planned(hidden(found=other))
        assert deleted.repair is not None
        assert deleted.repair.fallback is not None
        assert deleted.repair.fallback.sql == "instance_present.nova"


def test_a_server_in_two_cells_is_refused() -> None:
    assert "2 cells" in (planned(hidden(live_rows=2)).refusal or "")


@pytest.mark.parametrize(("live", "fenced", "writes"), [
    ({"volumes": 1}, (), "to 1 volumes"), ({"volumes": 1, "host": "gpu-2"}, (), "to 1 volumes"),
    ({"volumes": 1, "host": "gpu-2"}, ("gpu-2",), "nothing"), ({"volumes": 1, "host": None}, (), "nothing"), ({}, (), "nothing"),
])
def test_who_may_write(live: dict[str, Any], fenced: tuple[str, ...], writes: str) -> None:
    assert facts(hidden(found=None, live=live), fenced=fenced)["server.writes"] == writes


@pytest.mark.parametrize(("host", "resort"), [(HOST, False), ("gpu-2", True), ("gone", True), (None, True)])
def test_sql_is_the_last_resort_where_no_host_lives(host: str | None, resort: bool) -> None:
    assert facts(present({"host": host}))["server.last_resort"] is resort
    assert facts(present({"host": HOST}), fenced=(HOST,))["server.last_resort"] is False


def port(name: str, owner: str = "compute:nova") -> Port:
    """A port of it."""
    return Port(name, "", "p", ID, owner, "n", "DOWN")


def test_leftovers_go_in_their_order_and_then_nothing_is_left() -> None:
    held = Allocation(ID, {"rp": {"VCPU": 1}}, type="INSTANCE")
    case = gone(attachments=(attachment(),), ports=(port("x"),), allocation=held)
    first = planned(case)
    assert first.refusal is None
    assert first.repair is not None
    assert first.repair.means.startswith("cinder")
    assert found(planned(gone())) == (None, None)


def test_ports_that_nova_made_go_and_others_stay() -> None:
    cache = '[{"id": "made", "preserve_on_delete": false}, {"id": "users", "preserve_on_delete": true}, {"id": "old"}]'
    case = gone(kept={"network_info": cache}, ports=(port("made"), port("users"), port("old"), port("unknown")))
    seen = facts(case)
    assert seen["ports.made"] == ("made",)
    assert seen["ports.users"] == ("users", "old", "unknown")


@pytest.mark.parametrize("cache", ["", None, "no json", "{}", '[{"preserve_on_delete": false}]', "[1]"])
def test_a_cache_that_cannot_be_read_makes_no_port_novas(cache: str | None) -> None:
    assert facts(gone(kept={"network_info": cache}, ports=(port("p"),)))["ports.made"] == ()


@pytest.mark.parametrize(("host", "status", "fenced", "refused"), [
    (HOST, "attached", (), False), ("gpu-2", "attached", (), True), ("gpu-2", "attached", ("gpu-2",), False),
    ("gone", "attached", (), True), ("gpu-2", "reserved", (), False), ("gpu-2", "attaching", (), True),
])
def test_volumes_are_freed_only_where_no_guest_writes(host: str, status: str, fenced: tuple[str, ...], refused: bool) -> None:
    case = gone(kept={"host": host}, attachments=(attachment(status, host),))
    assert bool(planned(case, fenced=fenced).refusal) is refused


def test_an_attachment_of_an_unknown_host_is_not_freed() -> None:
    case = ServerCase(ID, None, attachments=(attachment(host=None),))
    assert "only the databases name" in (planned(case, database=False).refusal or "")


@pytest.mark.parametrize(("kind", "known", "refused"), [
    ("INSTANCE", False, False), ("MIGRATION", True, True), ("MIGRATION", False, True), (None, False, True), (None, True, False),
    ("unknown", True, False), ("unknown", False, True),
])
def test_only_a_servers_allocation_is_given_back(kind: str | None, known: bool, refused: bool) -> None:
    held = Allocation(ID, {"rp": {"VCPU": 1}}, type=kind)
    case = gone(allocation=held) if known else ServerCase(ID, None, allocation=held)
    assert bool(planned(case).refusal) is refused


def test_what_novas_api_database_keeps_is_ended() -> None:
    assert found(planned(ServerCase(ID, None, None, 0, mapping()))) == ("instance-mapping-left", None)
    made = {"id": 1, "created_at": LONG_AGO.replace(tzinfo=None), "updated_at": None}
    assert found(planned(ServerCase(ID, None, request=made))) == ("instance-mapping-left", None)
    assert planned(ServerCase(ID, None, request=made | {"created_at": JUST_NOW.replace(tzinfo=None)})).young


@pytest.mark.parametrize(("kept", "given", "refusal"), [
    ({}, {}, "may run on gpu-1"), ({}, {"actions": ({"id": 1, "ended_on": HOST},)}, None),
    ({}, {"actions": ({"id": 1, "ended_on": "gpu-3"},)}, "may run on gpu-1"), ({"host": None}, {}, None),
    ({"host": "gpu-2"}, {}, "may run on gpu-2"), ({"host": "gone"}, {}, None), ({"host": None, "referenced": 2}, {}, "2 rows"),
    ({"host": None}, {"migrations": (moving("done", "gpu-2", kind="evacuation"),)}, "evacuated from gpu-2"),
    ({"host": None}, {"migrations": (moving("completed", "gpu-2", kind="evacuation"),)}, None),
])
def test_rows_go_only_without_a_guest(kept: dict[str, Any], given: dict[str, Any], refusal: str | None) -> None:
    symptom, seen = found(planned(gone(kept=kept, **given), rows=True))
    assert symptom == "instance-rows-kept"
    assert (seen is None) if refusal is None else (refusal in (seen or ""))


def test_rows_of_a_fenced_host_go() -> None:
    assert planned(gone(kept={"host": "gpu-2"}), rows=True, fenced=("gpu-2",)).refusal is None
    assert planned(gone(kept={"host": "gpu-2"})).repair is None


def test_without_a_database_nothing_is_said_of_rows() -> None:
    seen = facts(ServerCase(ID, server()), database=False)
    assert all(isinstance(seen[f], Unread) for f in ("row.id", "rows.live", "rows.kept", "mapping.state"))


@pytest.mark.parametrize("databases", [True, False])
def test_a_migration_leads_from_its_source_to_its_destination(databases: bool) -> None:
    row = {"id": 1, "status": "done", "migration_type": "evacuation", "source_compute": HOST, "dest_compute": "gpu-3"}
    api = Migration(1, ID, "done", "evacuation", "m", HOST, "gpu-3")
    scene = SimpleNamespace(
        has=lambda _: databases, cloud=SimpleNamespace(migrations=lambda _: [api]),
        databases=SimpleNamespace(read=lambda *_: [row]),
    )
    [found] = migrations_of(scene, ID)  # type: ignore[arg-type]
    assert (found.type, found.source, found.dest) == ("evacuation", HOST, "gpu-3")
