"""Every fallback of sql/ on the schemas of ten releases: what it repairs, what it refuses, what it keeps for undo."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opsfix import sqlfile
from opsfix.errors import DatabaseRefused
from opsfix.journal import decode, encode
from tests.sql import cases, schema
from tests.sql.server import MariaDB
from tests.sql.world import New, Recorder, World, changed, key_of

CASES = cases.every()
FALLBACKS = sorted(
    path.name.removesuffix(".sql")
    for path in sqlfile.directory().glob("*.sql")
    if not sqlfile.load(path.name.removesuffix(".sql")).reads
)
HEALTHY = "healthy"
EACH_CASE = [pytest.param(r, n, id=f"{r}-{n}") for r in schema.RELEASES for n in CASES]
EACH_VARIANT = [
    pytest.param(release, name, variant, id=f"{release}-{name}-{variant}")
    for release in schema.RELEASES
    for name, case in CASES.items()
    for variant in (HEALTHY, *case.variants)
]
EACH_FLIP = [
    pytest.param(release, name, flip, id=f"{release}-{name}-{flip.name}")
    for release in schema.RELEASES
    for name, case in CASES.items()
    for flip in case.flips
]


def seeded(mariadb: MariaDB, release: str, name: str, variant: str = HEALTHY) -> World:
    """A database in the state that the fallback is for, or a variant of it."""
    case = CASES[name]
    world = World(mariadb, release, case.database, case.tables)
    case.seed(world)
    if variant != HEALTHY:
        case.variants[variant](world)
    return world


def test_every_fallback_has_a_case() -> None:
    assert sorted(CASES) == FALLBACKS


@pytest.mark.parametrize("name", CASES)
def test_a_case_gives_every_parameter(mariadb: MariaDB, name: str) -> None:
    world = seeded(mariadb, "2026.2", name)
    assert set(world.params) == set(sqlfile.load(name).params)


@pytest.mark.parametrize("name", CASES)
def test_every_guard_of_the_header_is_broken_by_a_flip(name: str) -> None:
    broken = {flip.guard for flip in CASES[name].flips} - {None}
    assert broken == set(sqlfile.load(name).guards_in_sql)


@pytest.mark.parametrize(("release", "name"), EACH_CASE)
def test_a_preview_shows_the_rows_and_changes_nothing(mariadb: MariaDB, release: str, name: str) -> None:
    file = sqlfile.load(name)
    world = seeded(mariadb, release, name)
    before, sums = world.everything(), world.checksums()
    shown = world.database.preview(file, world.params)
    assert shown.refusal is None
    assert images(shown.statements) == expected_images(world, file, before)
    assert [s.rows for s in shown.statements] == [len(s.before) + len(s.made) for s in shown.statements]
    assert world.checksums() == sums


@pytest.mark.parametrize(("release", "name", "variant"), EACH_VARIANT)
def test_a_commit_changes_just_what_it_must(mariadb: MariaDB, release: str, name: str, variant: str) -> None:
    file = sqlfile.load(name)
    world = seeded(mariadb, release, name, variant)
    before, since = world.everything(), world.utc()
    done = world.database.commit(file, world.params, Recorder())
    after = world.everything()
    assert after == changed(before, world.expected, after, since, world.utc())
    assert images(done.statements) == expected_images(world, file, before)
    assert done.rows == sum(map(len, world.expected.values()))
    certain = [s for s in done.statements if s.expected in ("1", "1..n")]
    assert sum(s.rows if s.expected == "1" else 1 for s in certain) == file.rows


@pytest.mark.parametrize(("release", "name"), EACH_CASE)
def test_a_second_run_is_refused(mariadb: MariaDB, release: str, name: str) -> None:
    file = sqlfile.load(name)
    world = seeded(mariadb, release, name)
    world.database.commit(file, world.params, Recorder())
    refused(world, file)


@pytest.mark.parametrize(("release", "name", "flip"), EACH_FLIP)
def test_a_broken_guard_is_refused(mariadb: MariaDB, release: str, name: str, flip: cases.Flip) -> None:
    world = seeded(mariadb, release, name)
    flip.do(world)
    refused(world, sqlfile.load(name))


@pytest.mark.parametrize(("release", "name"), EACH_CASE)
def test_the_images_for_undo_are_whole(mariadb: MariaDB, release: str, name: str) -> None:
    world = seeded(mariadb, release, name)
    before = world.everything()
    unchanged_at: list[Any] = []
    recorder = Recorder("sql-before", lambda: unchanged_at.append(world.everything()))
    world.database.commit(sqlfile.load(name), world.params, recorder)
    after = world.everything()
    assert recorder.names == ["sql-before", "sql-after", "sql-committed"]
    assert unchanged_at == [before]
    touched = [(table, key) for table, rows in world.expected.items() for key in rows]
    kept = recorder.images("sql-before")
    assert kept == {place(t, k): None if isinstance(k, New) else before[t][k] for t, k in touched}
    assert decode(json.loads(json.dumps(encode([*kept.values()])))) == [*kept.values()]
    assert recorder.images("sql-after") == {
        place(t, k): k.found(after[t]) if isinstance(k, New) else after[t].get(k) for t, k in touched
    }


@pytest.mark.parametrize("event", ["sql-before", "sql-after"])
@pytest.mark.parametrize("name", CASES)
def test_nothing_is_changed_that_cannot_be_recorded(mariadb: MariaDB, name: str, event: str) -> None:
    def fail() -> None:
        raise OSError("no space left on device")

    world = seeded(mariadb, "2026.2", name)
    before = world.checksums()
    with pytest.raises(OSError, match="no space"):
        world.database.commit(sqlfile.load(name), world.params, Recorder(event, fail))
    assert world.checksums() == before


def refused(world: World, file: sqlfile.SqlFile) -> None:
    """Preview and commit both refuse; nothing is changed, and no change is announced to the journal."""
    before, recorder = world.checksums(), Recorder()
    assert world.database.preview(file, world.params).refusal
    with pytest.raises(DatabaseRefused):
        world.database.commit(file, world.params, recorder)
    assert world.checksums() == before
    assert recorder.names == []


def images(effects: Any) -> dict[str, dict[Any, Any]]:
    """The rows that the statements match, by table and key."""
    return {e.table: {key_of(row): row for row in e.before} for e in effects}


def expected_images(world: World, file: sqlfile.SqlFile, before: Any) -> dict[str, dict[Any, Any]]:
    """The rows that the world expects to change, for each table that the file writes to."""
    written = [statement.table for statement in file.statements if statement.table in before]
    changes = {table: [k for k in world.expected.get(table or "", {}) if not isinstance(k, New)] for table in written}
    return {table: {key: before[table][key] for key in keys} for table, keys in changes.items()}


def place(table: str, key: Any) -> tuple[str, Any]:
    """Where the images have a row: a new one by its unique key."""
    return (table, (key.value,)) if isinstance(key, New) else (table, key)
