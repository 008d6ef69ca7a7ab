"""What the reads of cinder's counts find."""

from __future__ import annotations

from datetime import timedelta

from tests.sql.cases.quotas import OTHER, PROJECT, backup, counts, reservation, resources, snapshot, usage, volume
from tests.sql.server import Row
from tests.sql.world import LONG_AGO, World

THIRD = "33333333333333333333333333333333"


def projects(w: World) -> list[Row]:
    """One page, each once, those with live counts only."""
    for number in "abcde":
        usage(w, number, "volumes", 1, project_id=number)
        usage(w, f"{number} again", "gigabytes", 1, project_id=number)
    w.change("c", deleted=1)
    w.change("c again", deleted=1)
    w.params = {"after": "a", "page": 3}
    return [{"project_id": p} for p in "bde"]


def usages(w: World) -> list[Row]:
    """Live counts of the projects, each with what live rows of reservations add to it."""
    counts(w)
    first, second = usage(w, "first", "volumes", 3, 2), usage(w, "second", "gigabytes", -1)
    reservation(w, "more", 60, delta=2, usage_id=first)
    reservation(w, "less", 60, delta=-1, usage_id=first)
    reservation(w, "expired", -60, delta=4, usage_id=first)
    reservation(w, "used", 60, delta=8, usage_id=first, deleted=1)
    usage(w, "of a third", "volumes", 1, project_id=THIRD)
    w.params = {"project_ids": [PROJECT, OTHER]}
    rows = {"first": 6, "second": 0, "healthy": 0, "another's": 0}
    assert w["second"]["id"] == second
    return [{c: w[n][c] for c in ("id", "project_id", "resource", "in_use", "reserved")} | {"promised": p} for n, p in rows.items()]


def totals(w: World) -> list[Row]:
    """Live things by type; what does not count is not in the sums."""
    resources(w)
    w.params = {"project_ids": [PROJECT, "nobody"]}

    def row(kind: str, of_type: str | None, things: int, gigabytes: int) -> Row:
        told = {"kind": kind, "project_id": PROJECT, "type_name": of_type}
        return told | {"things": things, "gigabytes": gigabytes, "uncounted": 0}

    # the databases' collation takes fast and FAST for one name, and so they are grouped by their ids
    return [
        row("volumes", "fast", 3, 7), row("volumes", "FAST", 1, 16), row("volumes", "slow", 1, 8), row("volumes", None, 1, 32),
        row("snapshots", "fast", 2, 1536), row("snapshots", "FAST", 1, 4096), row("snapshots", "slow", 1, 2048),
        row("snapshots", None, 1, 8192), row("backups", None, 2, 6), row("groups", None, 1, 0),
    ]


def work(w: World) -> list[Row]:
    """What is in flight, the last change of each kind, and when the last reservation ends."""
    resources(w)
    later = LONG_AGO + timedelta(seconds=9)
    reservation(w, "live", 600)
    reservation(w, "shorter", 300)
    reservation(w, "expired", -60)
    reservation(w, "used", 600, deleted=1)
    for status in ("creating", "deleting", "extending", "retyping", "managing", "unmanaging"):
        volume(w, status, "fast", status=status)
    w.change("creating", created_at=later, updated_at=None)
    for status in ("creating", "deleting"):
        snapshot(w, f"{status} snapshot", "v0", status=status)
    for status in ("creating", "deleting", "restoring"):
        backup(w, f"{status} backup", 1, status=status, updated_at=later)
    w.params = {"project_ids": [PROJECT]}

    def row(kind: str, things: int, changed_at: object, ends_at: object = None) -> Row:
        return {"kind": kind, "project_id": PROJECT, "things": things, "changed_at": changed_at, "ends_at": ends_at}

    return [
        row("reservations", 2, LONG_AGO, w["live"]["expire"]), row("expired", 1, LONG_AGO, w["expired"]["expire"]),
        row("volumes", 6, later), row("snapshots", 2, LONG_AGO), row("backups", 3, later),
    ]
