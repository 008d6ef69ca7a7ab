"""What cinder has counted for a project against what there is of it.

Sources of the rules: cinder/db/sqlalchemy/api.py (quota_reserve, reservation_commit, reservation_expire, and the functions
_sync_volumes, _sync_gigabytes and so on), cinder/cmd/manage.py (QuotaCommands).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opsfix.errors import CloudRefused, CloudUnknown, ConfigError
from opsfix.finders import pages
from opsfix.ports import Databases
from opsfix.scene import Scene
from opsfix.subject import Look

#: What cinder counts of a project as a whole, and what of it also by volume type, as KIND_TYPE.
KINDS = ("volumes", "gigabytes", "snapshots", "backups", "backup_gigabytes", "groups")
BY_TYPE = ("volumes", "gigabytes", "snapshots")
#: Projects that are read at once.
AT_ONCE = 100
#: Looks until two in a row find the same counts.
LOOKS = 5
#: Counts that a sentence names.
NAMED = 12
#: An age in seconds below which nothing is, whatever the clocks say.
NOTHING = -10 * 365 * 86400


@dataclass(frozen=True)
class Usage:
    """A row of ``quota_usages``. ``promised`` is what reservations add to it; ``kind`` is None for what opsfix does not know."""

    id: int
    resource: str
    in_use: int
    reserved: int
    promised: int = 0

    @property
    def kind(self) -> str | None:
        """What is counted: one of KINDS."""
        if self.resource in KINDS:
            return self.resource
        head, _, tail = self.resource.partition("_")
        return head if head in BY_TYPE and tail else None

    @property
    def type(self) -> str | None:
        """The volume type that it is counted of, by its name."""
        return None if self.resource in KINDS else self.resource.partition("_")[2] or None


@dataclass(frozen=True)
class Work:
    """What is in flight: how many, when the last of them changed, and when the last reservation ends (naive UTC)."""

    things: int
    changed_at: datetime | None
    ends_at: datetime | None = None


@dataclass(frozen=True)
class QuotaCase:
    """All that was read of a project. ``counts`` are things and GiB by kind (volumes, snapshots, backups, groups) and
    volume type, None for what has no live type; ``uncounted`` have no word on whether they count."""

    usages: tuple[Usage, ...]
    counts: Mapping[tuple[str, str | None], tuple[int, int]]
    work: Mapping[str, Work]
    uncounted: int = 0

    def total(self, kind: str, of_type: str | None = None) -> tuple[int, int]:
        """Things and GiB, of one volume type or of all."""
        found = [v for (k, t), v in self.counts.items() if k == kind and of_type in (None, t)]
        return sum(things for things, _ in found), sum(gigabytes for _, gigabytes in found)

    def true(self, usage: Usage, *, with_snapshots: bool) -> int:
        """What the count should be. ``with_snapshots``: cinder adds the size of snapshots to gigabytes."""
        if usage.kind == "backup_gigabytes":
            return self.total("backups")[1]
        if usage.kind == "gigabytes":
            return self.total("volumes", usage.type)[1] + with_snapshots * self.total("snapshots", usage.type)[1]
        return self.total(usage.kind or "", usage.type)[0]


def read_cases(databases: Databases, project_ids: Sequence[str]) -> dict[str, QuotaCase]:
    """The cases of these projects. What was counted is read before and after what there is, until both are the same.

    Raises CloudUnknown where that never happens.
    """
    asked = {"project_ids": list(project_ids)}
    before = databases.read("read_quota_usages.cinder", asked)
    for _ in range(LOOKS):
        counts = databases.read("read_quota_counts.cinder", asked)
        work = databases.read("read_quota_work.cinder", asked)
        after = databases.read("read_quota_usages.cinder", asked)
        if _sorted(before) == _sorted(after):
            return {p: _case(p, after, counts, work) for p in project_ids}
        before = after
    raise CloudUnknown(f"the counts of project {', '.join(project_ids[:3])} change all the time: try again")


def _sorted(rows: Iterable[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((r["id"], r["in_use"], r["reserved"], r["promised"]) for r in rows)


def _case(project_id: str, usages: list[dict[str, Any]], counts: list[dict[str, Any]], work: list[dict[str, Any]]) -> QuotaCase:
    totals: dict[tuple[str, str | None], tuple[int, int]] = {}
    mine = [r for r in counts if r["project_id"] == project_id]
    for row in mine:
        key = (str(row["kind"]), row["type_name"])
        things, gigabytes = totals.get(key, (0, 0))
        totals[key] = things + int(row["things"]), gigabytes + int(row["gigabytes"])
    return QuotaCase(
        usages=tuple(
            Usage(r["id"], str(r["resource"]), int(r["in_use"]), int(r["reserved"]), int(r["promised"]))
            for r in sorted(usages, key=lambda r: int(r["id"])) if r["project_id"] == project_id
        ),
        counts=totals,
        work={
            str(r["kind"]): Work(int(r["things"]), r["changed_at"], r["ends_at"]) for r in work if r["project_id"] == project_id
        },
        uncounted=sum(int(r["uncounted"] or 0) for r in mine),
    )


def wrong_usages(case: QuotaCase, snapshots: bool | None) -> list[tuple[Usage, int | None]]:
    """The counts that are not true, each with the true one: None where only ``snapshots`` would tell (whether cinder adds
    the size of snapshots to gigabytes), and those come last. Of a resource that is counted twice, the later row."""
    rows = {u.resource: u for u in case.usages if u.kind}
    judged = [(u, _truths(case, u, snapshots)) for u in rows.values()]
    wrong = [(u, t) for u, t in judged if u.in_use not in t or u.reserved != u.promised]
    return sorted(((u, t.pop() if len(t) == 1 else None) for u, t in wrong), key=lambda w: (w[1] is None, w[0].id))


def _truths(case: QuotaCase, usage: Usage, snapshots: bool | None) -> set[int]:
    return {case.true(usage, with_snapshots=s) for s in ((True, False) if snapshots is None else (snapshots,))}


def quota_findings(
    databases: Databases, project_ids: Sequence[str], snapshots: bool | None = None
) -> Iterator[tuple[str, str]]:
    """Project and finding, of what is wrong with the counts of these projects; nothing is changed."""
    for begin in range(0, len(project_ids), AT_ONCE):
        cases = read_cases(databases, project_ids[begin : begin + AT_ONCE])
        for project_id, case in cases.items():
            if "expired" in case.work:
                yield project_id, "quota-reservation-expired"
            if _twins(case):
                yield project_id, "quota-usage-duplicate"
            if wrong_usages(case, snapshots):
                yield project_id, "quota-usage-wrong"


def counted_projects(databases: Databases) -> list[str]:
    """Ids of all projects that cinder has counted anything for."""
    return [str(r["project_id"]) for page in pages(databases, "read_quota_projects.cinder", "project_id") for r in page]


def _twins(case: QuotaCase) -> list[tuple[Usage, Usage]]:
    """Each count but the last of a resource, with the last one, which cinder uses."""
    last = {u.resource: u for u in case.usages}
    return [(u, last[u.resource]) for u in case.usages if u is not last[u.resource]]


class Projects:
    """Projects as the engine's subject, as far as cinder counts for them. ``snapshots``: whether cinder adds the size of
    snapshots to gigabytes; None where that is not known."""

    type = "project"

    def __init__(self, *, snapshots: bool | None = None):
        self._snapshots = snapshots

    def find(self, scene: Scene) -> set[str]:
        """Ids of all projects whose counts are wrong."""
        databases = _cinder(scene)
        return {p for p, _ in quota_findings(databases, counted_projects(databases), self._snapshots)}

    def look(self, scene: Scene, subject_id: str) -> Look | None:
        """See subject.Subject. A project without any count is known where keystone knows it."""
        case = read_cases(_cinder(scene), [subject_id])[subject_id]
        name = _name(scene, subject_id, needed=not (case.usages or case.counts))
        if name is None and not (case.usages or case.counts):
            return None
        facts = project_facts(subject_id, case, scene, self._snapshots)
        state = f"{len(case.usages)} counts, {len(wrong_usages(case, self._snapshots))} of them wrong"
        return Look(subject_id, name or "", subject_id, facts, state, "cinder has counted what there is")

    def named(self, scene: Scene, name: str) -> list[tuple[str, str]]:
        """See subject.Subject. An id is one without keystone as well."""
        case = read_cases(_cinder(scene), [name])[name]
        if case.usages or case.counts:
            return [(name, name)]
        found = [(p.id, p.id) for p in scene.cloud.projects.named(name)]
        return found or ([(name, name)] if scene.cloud.projects.project(name) else [])

    def gone(self, subject_id: str) -> dict[str, Any]:
        """See subject.Subject."""
        return {"project.id": subject_id}


def _cinder(scene: Scene) -> Databases:
    if scene.databases is None or not scene.has("cinder"):
        raise ConfigError("cinder's counts are in its database only, which is not configured: see 'opsfix config show'")
    return scene.databases


def _name(scene: Scene, project_id: str, *, needed: bool) -> str | None:
    """The project's name, None where keystone has no such project. Unless ``needed``, also where it does not tell."""
    try:
        project = scene.cloud.projects.project(project_id)
    except (CloudRefused, CloudUnknown):
        if needed:
            raise
        return None
    return project.name if project else None


def project_facts(project_id: str, case: QuotaCase, scene: Scene, snapshots: bool | None) -> dict[str, Any]:
    """The case as facts: plain values."""
    wrong, twins = wrong_usages(case, snapshots), _twins(case)
    flying = [w.changed_at.replace(tzinfo=UTC) for kind, w in case.work.items() if kind != "expired" and w.changed_at]
    changed_at = max(flying, default=None)
    live = case.work.get("reservations", Work(0, None))
    return {
        "project.id": project_id,
        "project.idle": scene.idle(changed_at),
        "project.changed_at": changed_at.isoformat() if changed_at else None,
        "project.young": int(scene.older_than.total_seconds()) or NOTHING,
        "project.uncounted": case.uncounted,
        "reservations.live": live.things,
        "reservations.until": f"{live.ends_at:%Y-%m-%d %H:%M:%S} UTC" if live.ends_at else "for ever",
        "reservations.expired": case.work.get("expired", Work(0, None)).things,
        "usages.wrong": len(wrong),
        "usages.counts": {
            u.resource: {"stored": u.in_use, "reserved": u.reserved, "true": true, "promised": u.promised} for u, true in wrong
        },
        "remark": _remark(wrong),
        "identities": (),
    } | _first_wrong(wrong, snapshots) | _first_twin(twins)


def _first_wrong(wrong: list[tuple[Usage, int | None]], snapshots: bool | None) -> dict[str, Any]:
    usage, true = wrong[0] if wrong else (None, None)
    return {
        "usage.id": usage.id if usage else None,
        "usage.resource": usage.resource if usage else None,
        "usage.kind": usage.kind if usage else None,
        "usage.type": usage.type if usage else None,
        "usage.in_use": usage.in_use if usage else None,
        "usage.reserved": usage.reserved if usage else None,
        "usage.counted": true,
        "usage.known": true is not None,
        "usage.with_snapshots": int(snapshots is not False),
    }


def _first_twin(twins: list[tuple[Usage, Usage]]) -> dict[str, Any]:
    twin, kept = twins[0] if twins else (None, None)
    return {
        "twin.id": twin.id if twin else None,
        "twin.kept": kept.id if kept else None,
        "twin.resource": twin.resource if twin else None,
        "twin.in_use": twin.in_use if twin else None,
        "twin.reserved": twin.reserved if twin else None,
        "twins": len(twins),
    }


def _remark(wrong: list[tuple[Usage, int | None]]) -> str | None:
    """Stored against true, for people."""
    if not wrong:
        return None
    told = [f"{u.resource} {_amount(u.in_use, u.reserved)} is {_amount(t, u.promised)}" for u, t in wrong[:NAMED]]
    more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    return f"stored against true: {', '.join(told)}{more}"


def _amount(in_use: int | None, reserved: int) -> str:
    amount = "?" if in_use is None else str(in_use)
    return f"{amount}+{reserved} reserved" if reserved else amount
