"""What a fallback changed comes back as it was, byte for byte, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from opsfix import sqlfile
from opsfix.errors import DatabaseRefused
from opsfix.history import COMMITTED, IN_DOUBT, SqlStep, Trace
from opsfix.journal import decode, encode
from opsfix.model import Mode, Outcome
from opsfix.undo import MOVED, Undoing, decided, put_back
from tests.sql import schema
from tests.sql.cases import every
from tests.sql.server import MariaDB
from tests.sql.test_fallbacks import EACH_VARIANT, HEALTHY, seeded
from tests.sql.world import Recorder, World

CASES = every()
ORPHANED = "volume_attachment_orphaned.cinder"


class Kept(Recorder):
    """Keeps events as a journal does, and tells them as history does."""

    def __call__(self, event: str, /, **data: Any) -> None:
        super().__call__(event, **decode(json.loads(json.dumps(encode(data)))))

    def trace(self) -> Trace:
        found = Trace("item", type="volume")
        for event, data in self.events:
            found.take({"event": event, "time": "now"} | data)
        return found

    def step(self) -> SqlStep:
        [step] = self.trace().steps
        assert isinstance(step, SqlStep)
        return step


class Tables:
    """The one database of a world, as undo.Tables."""

    def __init__(self, world: World):
        self.world = world

    def current(self, service: str, cell: str | None, images: Any) -> Any:
        return self.world.database.current(images)

    def put_back(self, service: str, cell: str | None, name: str, before: Any, after: Any, record: Any) -> None:
        self.world.database.put_back(name, before, after, record)


def committed(world: World, name: str) -> Kept:
    kept = Kept()
    world.database.commit(sqlfile.load(name), world.params, kept)
    return kept


def undo(world: World, trace: Trace, recorder: Kept, mode: Mode = Mode.COMMIT) -> Any:
    return put_back(trace, Undoing(None, Tables(world), mode, lambda _: recorder))  # type: ignore[arg-type]


@pytest.mark.parametrize(("release", "name", "variant"), [
    p for p in EACH_VARIANT if p.values[0] == schema.RELEASES[-1] or p.values[2] == HEALTHY
])
def test_an_undo_leaves_every_table_as_it_was(mariadb: MariaDB, release: str, name: str, variant: str) -> None:
    world = seeded(mariadb, release, name, variant)
    before = world.checksums()
    kept, again = committed(world, name), Kept()
    after = world.checksums()
    assert after != before
    item = undo(world, kept.trace(), again)
    assert (item.outcome, world.checksums()) == (Outcome.REPAIRED, before)
    item = undo(world, again.trace(), Kept())
    assert (item.outcome, world.checksums()) == (Outcome.REPAIRED, after)


@pytest.mark.parametrize("name", CASES)
def test_a_second_undo_is_refused_and_changes_nothing(mariadb: MariaDB, name: str) -> None:
    world = seeded(mariadb, "2026.2", name)
    trace = committed(world, name).trace()
    undo(world, trace, Kept())
    before = world.checksums()
    item = undo(world, trace, Kept())
    assert (item.outcome, world.checksums()) == (Outcome.REFUSED, before)
    assert "is no longer as the run left it" in item.reason


@pytest.mark.parametrize("name", CASES)
def test_a_dry_run_shows_the_rows_and_changes_nothing(mariadb: MariaDB, name: str) -> None:
    world = seeded(mariadb, "2026.2", name)
    trace = committed(world, name).trace()
    after, recorder = world.checksums(), Kept()
    item = undo(world, trace, recorder, Mode.DRY_RUN)
    assert (item.outcome, world.checksums(), recorder.events) == (Outcome.NEEDS_COMMIT, after, [])
    [step] = item.steps
    assert step.rows == sum(len(s["rows"]) if isinstance(s["rows"], list) else s["rows"] for s in trace.steps[0].statements)
    assert str(step.statement).count("\n") == step.rows - 1


def orphaned(mariadb: MariaDB) -> tuple[World, Kept]:
    world = seeded(mariadb, "2026.2", ORPHANED)
    return world, committed(world, ORPHANED)


def test_a_row_that_somebody_changed_is_named_with_both_versions(mariadb: MariaDB) -> None:
    world, kept = orphaned(mariadb)
    world.change("stale", attach_mode="ro")
    before = world.checksums()
    item = undo(world, kept.trace(), Kept())
    assert (item.outcome, world.checksums()) == (Outcome.REFUSED, before)
    assert f"volume_attachment id={world['stale']['id']} is no longer as the run left it: attach_mode: left 'rw', now 'ro'" in item.reason


def test_a_row_that_is_gone_is_refused(mariadb: MariaDB) -> None:
    world = seeded(mariadb, "2026.2", "volume_host_fenced.nova")
    kept = committed(world, "volume_host_fenced.nova")
    world.remove("mapping")
    item = undo(world, kept.trace(), Kept())
    assert item.outcome is Outcome.REFUSED
    assert item.reason.endswith("it is gone")


def test_a_row_that_changes_between_the_look_and_the_lock_is_refused(mariadb: MariaDB) -> None:
    world, kept = orphaned(mariadb)
    step = kept.step()
    world.change("stale", attach_mode="ro")
    before = world.checksums()
    with pytest.raises(DatabaseRefused, match="is no longer as the run left it"):
        world.database.put_back(step.file, step.before, step.after or [], Kept())
    assert world.checksums() == before


def test_a_table_that_gained_a_column_is_refused(mariadb: MariaDB) -> None:
    world, kept = orphaned(mariadb)
    step = kept.step()
    for image in step.after or []:
        (image["row"] or {}).pop("attach_mode", None)
    with pytest.raises(DatabaseRefused, match="has other columns now \\(attach_mode\\)"):
        world.database.put_back(step.file, step.before, step.after or [], Kept())


def test_a_key_that_is_taken_keeps_the_deleted_row_out(mariadb: MariaDB) -> None:
    name = "compute_mapping_left.nova_api"
    world = seeded(mariadb, "2026.2", name)
    kept = committed(world, name)
    [lost] = kept.step().before
    row = lost["row"] | {"id": lost["row"]["id"] + 1000}
    mariadb.insert(world.url, "host_mappings", **row)
    before = world.checksums()
    item = undo(world, kept.trace(), Kept())
    assert (item.outcome, world.checksums()) == (Outcome.REFUSED, before)
    assert "another stands in its way" in item.reason


def nothing(_: World) -> None:
    pass


def half(world: World) -> None:
    world.change("stale", attach_mode="ro")


@pytest.mark.parametrize(("do", "fate"), [(nothing, COMMITTED), (half, MOVED)])
def test_the_rows_decide_what_a_journal_leaves_open(mariadb: MariaDB, do: Callable[[World], None], fate: str) -> None:
    world, kept = orphaned(mariadb)
    kept.events = kept.events[:2]
    do(world)
    step = kept.step()
    assert (step.fate, decided(step, Tables(world))) == (IN_DOUBT, fate)
    assert decided(step, None) == IN_DOUBT


def test_rows_as_they_were_tell_that_nothing_was_written(mariadb: MariaDB) -> None:
    world, kept = orphaned(mariadb)
    undo(world, kept.trace(), Kept())
    kept.events = kept.events[:2]
    assert decided(kept.step(), Tables(world)) == "nothing was written"
    assert undo(world, kept.trace(), Kept()).outcome is Outcome.HEALTHY


def test_without_after_images_nothing_was_written(mariadb: MariaDB) -> None:
    _, kept = orphaned(mariadb)
    kept.events = kept.events[:1]
    assert kept.step().fate == "nothing was written"


def test_an_undo_without_its_database_says_so(mariadb: MariaDB) -> None:
    _, kept = orphaned(mariadb)
    item = put_back(kept.trace(), Undoing(None, None, Mode.COMMIT, lambda _: Kept()))  # type: ignore[arg-type]
    assert item.outcome is Outcome.REFUSED
    assert "needs the database of cinder" in item.reason
