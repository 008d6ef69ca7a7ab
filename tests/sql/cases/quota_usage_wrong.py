"""A count of cinder that is not true."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.sql import schema
from tests.sql.cases import Case, Flip, Step
from tests.sql.cases.quotas import (
    FLIPS,
    LIVE,
    OTHER,
    PROJECT,
    SINCE,
    TABLES,
    TRUE,
    backup,
    counts,
    reservation,
    reserved,
    resources,
    snapshot,
    usage,
    volume,
)
from tests.sql.cases.steps import meanwhile, named, of_row, seen
from tests.sql.world import LONG_AGO, NOW, World

WRONG = "usage.id is not none"
UNCOUNTED = "project.uncounted is 0"
IDLE = "project.idle is True"
LATER = SINCE + timedelta(days=1)


def seed(w: World) -> None:
    """All volumes of the project are counted too high, and one more is reserved for what is over."""
    counts(w)
    resources(w)
    usage(w, "wrong", "volumes", 17, 2)
    reservation(w, "over, of the count", 60, deleted=1, usage_id=w["wrong"]["id"])
    w.params = {
        "project_id": PROJECT, "usage_id": w["wrong"]["id"], "resource": "volumes", "kind": "volumes", "type_name": None,
        "in_use": 17, "reserved": 2, "counted": TRUE["volumes", None], "with_snapshots": 1,
        "young": int((w.utc() - SINCE).total_seconds()),
    }
    w.expect("wrong", in_use=w.params["counted"], reserved=0, updated_at=NOW)


def counting(kind: str, of_type: str | None, *, with_snapshots: bool = True, counted: int | None = None) -> Step:
    """Another resource is the one that is counted wrongly."""

    def step(w: World) -> None:
        resource = f"{kind}_{of_type}" if of_type else kind
        true = TRUE[kind, of_type] if counted is None else counted
        w.change("wrong", resource=resource)
        w.params |= {
            "resource": resource, "kind": kind, "type_name": of_type, "counted": true, "with_snapshots": int(with_snapshots),
        }
        w.expect("wrong", in_use=true, reserved=0, updated_at=NOW)

    return step


def _always_said(release: str, table: str) -> bool:
    """Whether the release's column may not be NULL."""
    return "NOT NULL" in schema.tables(release, "cinder")[table]["columns"]["use_quota"]


def unsaid_of_others(w: World) -> None:
    """Rows without a word, of another project or deleted, where the release can have them."""
    for table, make, where in (("volumes", volume, {"of_type": "fast"}), ("snapshots", snapshot, {"of": "v0"})):
        if not _always_said(w.release, table):
            make(w, f"another's {table}", **where, use_quota=None, project_id=OTHER)
            make(w, f"deleted {table}", **where, use_quota=None, deleted=1)


def unsaid(table: str) -> Step:
    """A row of a release that could leave it open whether it counts; on later ones, where none can, a reservation stands for
    what is refused."""

    def step(w: World) -> None:
        if _always_said(w.release, table):
            reserved(60)(w)
        elif table == "volumes":
            volume(w, "unsaid", "fast", use_quota=None)
        else:
            snapshot(w, "unsaid", "v0", use_quota=None)

    return step


def young(make: Any, name: str, status: str, **values: Any) -> Step:
    """Somebody works on a thing that does not count, so that only its state refuses."""
    return lambda w: make(w, name, status=status, **values)


VOLUME_WORK = ("creating", "deleting", "extending", "retyping", "managing", "unmanaging")
UNCOUNTING = {"use_quota": 0, "updated_at": LATER}

CASE = Case(
    file="quota_usage_wrong.cinder",
    release="yoga",
    tables=TABLES,
    seed=seed,
    variants={
        **{f"{kind} of {of_type}": counting(kind, of_type) for kind, of_type in TRUE},
        "gigabytes without snapshots": counting("gigabytes", None, with_snapshots=False, counted=63),
        "gigabytes of fast without snapshots": counting("gigabytes", "fast", with_snapshots=False, counted=7),
        "negative": seen("wrong", "in_use", -3, "in_use"),
        "nothing reserved": seen("wrong", "reserved", 0, "reserved"),
        "old work": lambda w: volume(w, "stuck", "fast", status="deleting", use_quota=0),
        "work of another project": lambda w: volume(w, "x", "fast", status="creating", project_id=OTHER, updated_at=LATER),
        "work that is over": lambda w: volume(w, "x", "fast", status="deleting", deleted=1, updated_at=LATER),
        "a healthy change": lambda w: volume(w, "x", "fast", **UNCOUNTING),
        "old work on a snapshot": lambda w: snapshot(w, "x", "v0", status="deleting", use_quota=0),
        "snapshot of another project": lambda w: snapshot(w, "x", "v0", status="creating", project_id=OTHER, updated_at=LATER),
        "snapshot that is over": lambda w: snapshot(w, "x", "v0", status="deleting", deleted=1, updated_at=LATER),
        "a healthy snapshot": lambda w: snapshot(w, "x", "v0", **UNCOUNTING),
        "an old backup": meanwhile("backup", status="creating"),
        "backup of another project": meanwhile("another's backup", status="creating", updated_at=LATER),
        "backup that is over": meanwhile("deleted backup", status="deleting", updated_at=LATER),
        "a healthy backup": meanwhile("backup", updated_at=LATER),
        "no word on what does not matter": unsaid_of_others,
    },
    flips=(
        *FLIPS,
        Flip(
            "a reservation of another project for this count", LIVE,
            lambda w: reserved(60, project_id=OTHER, usage_id=w["wrong"]["id"])(w),
        ),
        Flip("counted by somebody else", WRONG, meanwhile("wrong", in_use=16)),
        Flip("reserved by somebody else", WRONG, meanwhile("wrong", reserved=3)),
        Flip("removed", WRONG, meanwhile("wrong", deleted=1, deleted_at=LONG_AGO)),
        Flip("was not read", WRONG, named(usage_id=None)),
        Flip("another's count", WRONG, of_row("usage_id", "another's")),
        Flip("another project", WRONG, named(project_id=OTHER)),
        Flip("of another project", WRONG, meanwhile("wrong", project_id=OTHER)),
        Flip("of another resource", WRONG, meanwhile("wrong", resource="VOLUMES")),
        Flip("another resource", WRONG, named(resource="volume")),
        Flip("one more was made", WRONG, lambda w: volume(w, "new", "fast")),
        Flip("one was deleted", WRONG, meanwhile("v0", deleted=1)),
        Flip("what is true was not read", WRONG, named(counted=None)),
        Flip("of an unknown kind", WRONG, named(kind="per_volume_gigabytes")),
        Flip("a volume without a word", UNCOUNTED, unsaid("volumes")),
        Flip("a snapshot without a word", UNCOUNTED, unsaid("snapshots")),
        *(Flip(f"a volume {s}", IDLE, young(volume, "busy", s, of_type="fast", **UNCOUNTING)) for s in VOLUME_WORK),
        Flip(
            "a volume just begun", IDLE,
            young(volume, "busy", "creating", of_type="fast", use_quota=0, updated_at=None, created_at=LATER),
        ),
        *(Flip(f"a snapshot {s}", IDLE, young(snapshot, "busy", s, of="v0", **UNCOUNTING)) for s in ("creating", "deleting")),
        *(
            Flip(f"a backup {s}", IDLE, young(backup, "busy", s, size=1, updated_at=LATER))
            for s in ("creating", "deleting", "restoring")
        ),
    ),
)
