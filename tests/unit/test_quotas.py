"""What cinder has counted against what there is: which counts are wrong, and when nobody may touch them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opsfix.config import snapshots_counted
from opsfix.engine.plan import Planned, plan
from opsfix.errors import CloudRefused, CloudUnknown, ConfigError
from opsfix.quotas import Projects, QuotaCase, Usage, Work, project_facts, quota_findings, read_cases, wrong_usages
from opsfix.repairs import QUOTA_SYNC
from opsfix.resources import Project
from opsfix.scene import Scene
from tests.fakes.rows import ago

P = "0123456789abcdef0123456789abcdef"
COUNTS = {
    ("volumes", "fast"): (3, 30), ("volumes", None): (1, 5), ("snapshots", "fast"): (2, 20), ("backups", None): (4, 40),
    ("groups", None): (1, 0),
}
TRUE = (
    Usage(1, "volumes", 4, 0), Usage(2, "gigabytes", 55, 0), Usage(3, "volumes_fast", 3, 0), Usage(4, "gigabytes_fast", 50, 0),
    Usage(5, "snapshots", 2, 0), Usage(6, "snapshots_fast", 2, 0), Usage(7, "backups", 4, 0), Usage(8, "backup_gigabytes", 40, 0),
    Usage(9, "groups", 1, 0), Usage(10, "volumes_gone", 0, 0), Usage(11, "per_volume_gigabytes", 99, 0),
)
WRONG = Usage(1, "volumes", 7, 0)


def naive(seconds: float) -> datetime:
    return ago(seconds).replace(tzinfo=None)


def case(*usages: Usage, work: Mapping[str, Work] | None = None, uncounted: int = 0) -> QuotaCase:
    return QuotaCase(usages or TRUE, COUNTS, work or {}, uncounted)


def planned(found: QuotaCase, *, snapshots: bool | None = True, older_than: timedelta = timedelta(minutes=15)) -> Planned:
    scene = Scene(cloud=None, older_than=older_than)  # type: ignore[arg-type]
    return plan("project", QUOTA_SYNC, project_facts(P, found, scene, snapshots), check_age=True)


def test_true_counts_are_healthy() -> None:
    assert wrong_usages(case(), True) == []
    assert planned(case()).repair is None


@pytest.mark.parametrize(("resource", "true"), [
    ("volumes", 4), ("gigabytes", 55), ("volumes_fast", 3), ("gigabytes_fast", 50), ("snapshots", 2), ("snapshots_fast", 2),
    ("backups", 4), ("backup_gigabytes", 40), ("groups", 1), ("volumes_gone", 0), ("gigabytes_gone", 0), ("volumes_fast_2", 0),
])
@pytest.mark.parametrize("stored", [-1, 1000])
def test_each_kind_is_set_to_what_there_is(resource: str, true: int, stored: int) -> None:
    assert wrong_usages(case(Usage(1, resource, stored, 0)), True) == [(Usage(1, resource, stored, 0), true)]


@pytest.mark.parametrize("resource", ["per_volume_gigabytes", "consistencygroups", "volumes_", "backups_fast", "VOLUMES"])
def test_what_is_not_known_is_left_alone(resource: str) -> None:
    assert wrong_usages(case(Usage(1, resource, 1000, 5)), True) == []


def test_what_is_reserved_for_nothing_is_wrong() -> None:
    assert wrong_usages(case(Usage(1, "volumes", 4, 2)), True) == [(Usage(1, "volumes", 4, 2), 4)]
    assert wrong_usages(case(Usage(1, "volumes", 4, 2, promised=2)), True) == []


def test_gigabytes_without_snapshots() -> None:
    assert wrong_usages(case(Usage(1, "gigabytes", 55, 0)), False) == [(Usage(1, "gigabytes", 55, 0), 35)]
    assert wrong_usages(case(Usage(1, "gigabytes", 35, 0)), False) == []


def test_where_nobody_says_whether_snapshots_count_either_is_right_and_nothing_is_guessed() -> None:
    for right in (35, 55):
        assert wrong_usages(case(Usage(1, "gigabytes", right, 0)), None) == []
    found = case(Usage(1, "gigabytes", 7, 0), Usage(2, "volumes", 7, 0))
    assert [true for _, true in wrong_usages(found, None)] == [4, None]
    assert planned(found, snapshots=None).refusal is None
    refusal = planned(case(Usage(1, "gigabytes", 7, 0)), snapshots=None).refusal
    assert refusal
    assert "--no-snapshot-gigabytes" in refusal


def test_a_wrong_count_may_be_set() -> None:
    found = planned(case(WRONG))
    assert (found.repair and found.repair.symptom, found.refusal) == ("quota-usage-wrong", None)


def test_the_reader_is_told_stored_against_true() -> None:
    scene = Scene(cloud=None)  # type: ignore[arg-type]
    facts = project_facts(P, case(WRONG, Usage(2, "gigabytes", 55, 3)), scene, True)
    assert facts["remark"] == "stored against true: volumes 7 is 4, gigabytes 55+3 reserved is 55"
    many = case(*(Usage(n, f"volumes_t{n}", 1, 0) for n in range(20)))
    assert project_facts(P, many, scene, True)["remark"].endswith(" and 8 more")


class TestRefusals:
    """Each of these could be cinder at work."""

    @pytest.mark.parametrize("usages", [(WRONG,), (WRONG, Usage(2, "volumes", 4, 0))])
    def test_live_reservations(self, usages: tuple[Usage, ...]) -> None:
        found = planned(case(*usages, work={"reservations": Work(2, naive(3600), naive(-60))}))
        assert found.refusal
        assert "2 live reservations" in found.refusal
        assert not found.young

    def test_live_reservations_beside_expired_ones(self) -> None:
        work = {"reservations": Work(1, naive(3600), None), "expired": Work(1, naive(90000), naive(60))}
        found = planned(case(WRONG, work=work))
        assert found.repair
        assert found.repair.symptom == "quota-reservation-expired"
        assert found.refusal
        assert "until for ever" in found.refusal

    @pytest.mark.parametrize("kind", ["reservations", "volumes", "snapshots", "backups"])
    def test_what_began_a_moment_ago(self, kind: str) -> None:
        assert planned(case(WRONG, work={kind: Work(1, naive(60))})).young

    @pytest.mark.parametrize("kind", ["volumes", "snapshots", "backups"])
    def test_what_hangs_for_long_is_no_work(self, kind: str) -> None:
        assert planned(case(WRONG, work={kind: Work(1, naive(3600))})).refusal is None
        assert planned(case(WRONG, work={kind: Work(1, naive(0))}), older_than=timedelta(0)).refusal is None

    def test_an_upgrade_that_was_not_finished(self) -> None:
        refusal = planned(case(WRONG, uncounted=3)).refusal
        assert refusal
        assert "online_data_migrations" in refusal


def test_expired_reservations_go_first_then_twins_then_counts() -> None:
    twins = (WRONG, Usage(2, "volumes", 9, 0))
    order = []
    for found in (case(*twins, work={"expired": Work(1, naive(90000), naive(60))}), case(*twins), case(twins[1])):
        repair = planned(found).repair
        order.append(repair and repair.symptom)
    assert order == ["quota-reservation-expired", "quota-usage-duplicate", "quota-usage-wrong"]


def test_of_twins_the_later_one_stays() -> None:
    facts = project_facts(P, case(WRONG, Usage(2, "volumes", 4, 0)), Scene(cloud=None), True)  # type: ignore[arg-type]
    assert (facts["twin.id"], facts["twin.kept"], facts["usages.wrong"]) == (1, 2, 0)


class Tables:
    """cinder's rows of one project; ``counted`` is what each look finds stored, the last one for ever."""

    def __init__(self, *counted: int, project: str = P, moving: bool = False):
        self.counted, self.looks, self.project, self.moving = counted, 0, project, moving

    def names(self) -> list[str]:
        return ["cinder"]

    def read(self, name: str, params: Mapping[str, Any], *, cell: str | None = None) -> list[dict[str, Any]]:
        if self.project not in params.get("project_ids", [self.project]):
            return []
        if name == "read_quota_usages.cinder":
            self.looks += 1
            counted = (self.looks,) if self.moving else self.counted[: self.looks][-1:]
            row = {"id": 1, "project_id": self.project, "resource": "volumes", "reserved": 0, "promised": 0}
            return [row | {"in_use": found} for found in counted]
        if name == "read_quota_counts.cinder" and self.counted:
            row = {"kind": "volumes", "project_id": self.project, "type_name": "fast", "things": 5, "gigabytes": 5, "uncounted": None}
            return [row]
        if name == "read_quota_projects.cinder":
            return [{"project_id": self.project}] if self.counted and not params["after"] else []
        return []


class Keystone:
    """keystone's projects; ``may`` False: the user may not list them."""

    def __init__(self, *projects: Project, may: bool = True):
        self._projects, self._may = projects, may

    def _all(self) -> tuple[Project, ...]:
        if not self._may:
            raise CloudRefused(403, "You are not authorized to perform the requested action")
        return self._projects

    def named(self, name: str) -> list[Project]:
        return [p for p in self._all() if p.name == name]

    def project(self, project_id: str) -> Project | None:
        return next((p for p in self._all() if p.id == project_id), None)


def on(tables: Tables | None, *projects: Project, may: bool = True) -> Scene:
    cloud = SimpleNamespace(projects=Keystone(*projects, may=may))
    return Scene(cloud=cloud, databases=tables)  # type: ignore[arg-type]


def test_a_count_that_moves_between_two_looks_is_read_again() -> None:
    tables = Tables(4, 5, 5)
    assert read_cases(tables, [P])[P].usages[0].in_use == 5  # type: ignore[arg-type]
    assert list(quota_findings(Tables(4, 5), [P])) == []  # type: ignore[arg-type]


def test_counts_that_never_rest_are_not_known() -> None:
    with pytest.raises(CloudUnknown, match="all the time"):
        read_cases(Tables(moving=True), [P])  # type: ignore[arg-type]


def test_all_finds_the_projects_that_are_wrong() -> None:
    assert Projects().find(on(Tables(4))) == {P}
    assert Projects().find(on(Tables(5))) == set()


def test_a_project_is_found_by_id_without_keystone_and_by_name_with_it() -> None:
    subject, demo = Projects(), Project(P, "demo")
    assert subject.named(on(Tables(5), may=False), P) == [(P, P)]
    assert subject.named(on(Tables(5), demo), "demo") == [(P, P)]
    assert subject.named(on(Tables(5), demo, Project("x", "demo")), "demo") == [(P, P), ("x", "x")]
    with pytest.raises(CloudRefused, match="not authorized"):  # who may not ask is not told that there is none
        subject.named(on(Tables(5), may=False), "demo")
    assert subject.named(on(Tables(), demo), P) == [(P, P)]
    assert subject.named(on(Tables(), demo), "nobody") == []


def test_a_project_without_counts_is_healthy_and_one_that_nobody_knows_is_not_there() -> None:
    assert Projects().look(on(Tables(), Project(P, "demo")), P)
    assert Projects().look(on(Tables()), P) is None
    look = Projects().look(on(Tables(5), may=False), P)
    assert look
    assert (look.name, look.project_id) == ("", P)


def test_without_cinders_database_nothing_is_known() -> None:
    for ask in (Projects().find, lambda scene: Projects().named(scene, P), lambda scene: Projects().look(scene, P)):
        with pytest.raises(ConfigError, match="database only"):
            ask(on(None))


@pytest.mark.parametrize(("text", "counted"), [
    ("[DEFAULT]\n", True), ("[DEFAULT]\nno_snapshot_gb_quota = true\n", False), ("[DEFAULT]\nno_snapshot_gb_quota = false\n", True),
    (None, None),
])
@pytest.mark.parametrize("place", ["cinder/cinder.conf", "cinder.conf"])
def test_whether_snapshots_count_is_read_as_cinder_reads_it(tmp_path: Path, place: str, text: str | None, counted: bool | None) -> None:
    if text is not None:
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(text)
    assert snapshots_counted(tmp_path) is counted


def test_a_cinder_conf_that_cannot_be_meant_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cinder.conf").write_text("[DEFAULT]\nno_snapshot_gb_quota = perhaps\n")
    with pytest.raises(ConfigError, match="cannot be read as the service reads it"):
        snapshots_counted(tmp_path)
