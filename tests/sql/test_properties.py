"""Whatever the rows are: a fallback changes what it may or nothing, and its undo leaves every table as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pymysql
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from opsfix import sqlfile
from opsfix.errors import DatabaseRefused
from opsfix.gateways.database import Database
from opsfix.model import Outcome
from tests.sql import schema
from tests.sql.cases import Case, Step, every
from tests.sql.server import MariaDB
from tests.sql.test_putback import Kept, undo
from tests.sql.world import World

CASES = every()
EXAMPLES = 6


def disturbances(case: Case) -> list[Step]:
    """All that the case knows to befall its rows and its parameters, harmful or not."""
    return [*case.variants.values(), *(flip.do for flip in case.flips)]


@contextmanager
def possible() -> Iterator[None]:
    """One disturbance may have left nothing for the next."""
    try:
        yield
    except (KeyError, pymysql.err.IntegrityError, pymysql.err.ProgrammingError, pymysql.err.OperationalError, pymysql.err.DataError):
        pass


def orphans(world: World) -> list[str]:
    """Rows whose foreign key leads nowhere: none, whatever was run."""
    keys = world.mariadb.execute(
        world.url,
        "SELECT TABLE_NAME AS t, COLUMN_NAME AS c, REFERENCED_TABLE_NAME AS rt, REFERENCED_COLUMN_NAME AS rc"
        " FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IS NOT NULL",
    )
    return [
        f"{k['t']}.{k['c']}" for k in keys
        if world.mariadb.execute(
            world.url,
            f"SELECT 1 FROM `{k['t']}` AS a LEFT JOIN `{k['rt']}` AS b ON a.`{k['c']}` = b.`{k['rc']}`"
            f" WHERE a.`{k['c']}` IS NOT NULL AND b.`{k['rc']}` IS NULL LIMIT 1",
        )
    ]


@pytest.mark.parametrize("name", CASES)
def test_any_population_comes_back(mariadb: MariaDB, name: str) -> None:
    case = CASES[name]

    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.sampled_from(schema.RELEASES), st.lists(st.sampled_from(range(len(disturbances(case)))), max_size=3, unique=True))
    @example(schema.RELEASES[-1], [])
    def check(release: str, numbers: list[int]) -> None:
        world = World(mariadb, release, case.database, case.tables)
        case.seed(world)
        for number in numbers:
            with possible():
                disturbances(case)[number](world)
        before, kept = world.checksums(), Kept()
        try:
            world.database.commit(sqlfile.load(name), world.params, kept)
        except DatabaseRefused:
            assert (world.checksums(), numbers != []) == (before, True)  # what nothing befell is not refused
            return
        assert orphans(world) == []
        assert undo(world, kept.trace(), Kept()).outcome is Outcome.REPAIRED
        assert world.checksums() == before

    check()


@pytest.mark.parametrize("name", CASES)
def test_of_two_at_once_one_takes_place(mariadb: MariaDB, name: str) -> None:
    world = World(mariadb, schema.RELEASES[-1], CASES[name].database, CASES[name].tables)
    CASES[name].seed(world)
    before = world.checksums()
    both, start = (Kept(), Kept()), threading.Barrier(2)

    def commit(kept: Kept) -> bool:
        database = Database(world.database.service, world.url, pool=1)
        try:
            start.wait()
            database.commit(sqlfile.load(name), world.params, kept)
        except DatabaseRefused:
            return False
        finally:
            database.dispose()
        return True

    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(commit, kept) for kept in both]
        succeeded = [future.result() for future in done]
    assert sorted(succeeded) == [False, True]
    assert orphans(world) == []
    assert undo(world, both[succeeded.index(True)].trace(), Kept()).outcome is Outcome.REPAIRED
    assert world.checksums() == before
