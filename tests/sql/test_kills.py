"""A commit and its undo, killed at each journal write, statement and COMMIT: all of it took place or nothing did."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from opsfix import history, sqlfile
from opsfix.gateways.database import Database
from opsfix.history import COMMITTED, NOTHING, SqlStep
from opsfix.journal import Journal
from opsfix.model import Outcome
from opsfix.undo import decided
from tests.kills import Points, every_point, killed_at
from tests.sql.server import MariaDB
from tests.sql.test_fallbacks import seeded
from tests.sql.test_putback import Kept, Tables, undo
from tests.sql.world import World

Do = Callable[[Database, Any], None]
#: An update and rows of two tables, rows of twenty tables, rows that are really deleted.
FILES = ("volume_attachment_orphaned.cinder", "instance_rows_kept.nova", "compute_allocation_left.placement")
#: Seconds that the server may take to roll back what a killed client left.
PATIENCE = 20.0


def killed(world: World, state: Path, point: int, do: Do) -> bool:
    """``do`` on a connection of its own with a journal on disk, in a process that is killed at a point."""

    def child(points: Points) -> None:
        database = Database(world.database.service, world.url, pool=1)
        engine = database._engine
        for event in ("before_cursor_execute", "after_cursor_execute"):
            sa.event.listen(engine, event, lambda *_: points())
        dialect_commit = engine.dialect.do_commit

        def commit(connection: Any) -> None:
            points()
            dialect_commit(connection)
            points()

        engine.dialect.do_commit = commit  # type: ignore[method-assign]
        journal = Journal(state, "volume unstick", "commit", [], "cloud")

        def record(event: str, /, **data: Any) -> None:
            points()
            journal.record(event, item="item", **data)
            points()

        do(database, record)

    return killed_at(point, child)


def rolled_back(world: World) -> None:
    """Wait until the server holds no transaction of a client that is gone."""
    until = time.monotonic() + PATIENCE
    while world.mariadb.execute(world.url, "SELECT trx_id FROM information_schema.innodb_trx"):
        assert time.monotonic() < until, "a killed client's transaction stays open"
        time.sleep(0.11)  # innodb_trx shows nothing new to who asks again within a tenth of a second


def told(state: Path) -> list[SqlStep]:
    """The transactions in the journal of the run that was killed, none where it did not come so far."""
    return [s for past in history.every(state) for t in past.traces().values() for s in t.steps if isinstance(s, SqlStep)]


@pytest.mark.parametrize("name", FILES)
def test_a_commit_takes_place_or_does_not(mariadb: MariaDB, tmp_path: Path, name: str) -> None:
    file = sqlfile.load(name)

    def one(point: int) -> bool:
        world, state = seeded(mariadb, "2026.2", name), tmp_path / str(point)
        before = world.everything()
        was_killed = killed(world, state, point, lambda database, record: database.commit(file, world.params, record))
        rolled_back(world)
        took_place = world.everything() != before
        fates = [decided(step, Tables(world)) for step in told(state)]
        assert fates in ([COMMITTED] if took_place else [NOTHING], [])
        assert fates or not took_place, "what changed the rows is not in the journal"
        if took_place:
            [past] = history.every(state)
            [trace] = past.traces().values()
            assert undo(world, trace, Kept()).outcome is Outcome.REPAIRED
        assert world.everything() == before
        assert world.database.commit(file, world.params, Kept()).rows
        return was_killed

    assert every_point(one) >= 8


@pytest.mark.parametrize("name", FILES[:1])
def test_an_undo_takes_place_or_does_not(mariadb: MariaDB, tmp_path: Path, name: str) -> None:
    file = sqlfile.load(name)

    def one(point: int) -> bool:
        world, state, kept = seeded(mariadb, "2026.2", name), tmp_path / str(point), Kept()
        before = world.everything()
        world.database.commit(file, world.params, kept)
        step, after = kept.step(), world.everything()
        was_killed = killed(
            world, state, point, lambda database, record: database.put_back(name, step.before, step.after or [], record)
        )
        rolled_back(world)
        assert world.everything() in (before, after)
        took_place = world.everything() == before
        fates = [decided(s, Tables(world)) for s in told(state)]
        assert fates in ([COMMITTED] if took_place else [NOTHING], [])
        assert fates or not took_place
        again = undo(world, kept.trace(), Kept())
        assert again.outcome is (Outcome.REFUSED if took_place else Outcome.REPAIRED), again.reason
        assert world.everything() == before
        return was_killed

    assert every_point(one) >= 8
