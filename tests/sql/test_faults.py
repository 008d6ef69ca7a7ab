"""A fallback on a database that fails it: at each command of the protocol, with each size of a full disk, with a schema
that lacks a column. What the run says is what the rows are, and the journal knows of every change before it is made."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from opsfix import sqlfile
from opsfix.errors import ConfigError, DatabaseRefused, DatabaseUnknown, JournalError
from opsfix.gateways.database import Database, Databases
from opsfix.journal import Journal
from tests.sql.proxy import proxy
from tests.sql.server import MariaDB
from tests.sql.test_fallbacks import seeded
from tests.sql.world import Recorder, World, changed

RELEASE = "2026.2"
CASE = "volume_attachment_orphaned.cinder"


class Before:
    """A seeded case, its rows, and what a commit may leave of them."""

    def __init__(self, mariadb: MariaDB, name: str):
        self.world: World = seeded(mariadb, RELEASE, name)
        self.rows, self.since = self.world.everything(), self.world.utc()

    def became(self) -> str:
        """'untouched' or 'repaired'; anything else fails."""
        after = self.world.everything()
        if after == self.rows:
            return "untouched"
        assert after == changed(self.rows, self.world.expected, after, self.since, self.world.utc())
        return "repaired"


def through(port: int, world: World, name: str) -> Databases:
    """A run's databases by way of a proxy."""
    service = name.rsplit(".", 1)[-1]
    url = sa.make_url(world.url).set(port=port).render_as_string(hide_password=False)
    database = Database(service, url, pool=1, cell="cell1" if service == "nova" else None)
    return Databases({}, {"cell1": database}) if service == "nova" else Databases({service: database}, {})


def told(databases: Databases, name: str, world: World, recorder: Recorder) -> str:
    """What a run would say."""
    try:
        databases.commit(name, world.params, recorder, cell="cell1")
    except (DatabaseRefused, ConfigError):
        return "untouched"
    return "repaired"


# a connection that is lost


@pytest.mark.parametrize("name", [CASE, "volume_host_fenced.nova", "instance_mapping_left.nova_api"])
def test_a_connection_lost_at_any_command_leaves_what_the_run_says(mariadb: MariaDB, name: str) -> None:
    """Before the server has the command and after it has answered: each of all commands, those of the log-in too."""
    with proxy(lambda: mariadb.port) as between:
        for fate in ("before", "after"):
            at, ended = 0, False
            while not ended:
                before, recorder = Before(mariadb, name), Recorder()
                between.commands.clear()
                between.fate = lambda number, _, at=at, fate=fate: fate if number == at else None  # type: ignore[misc]
                databases = through(between.port, before.world, name)
                said = told(databases, name, before.world, recorder)
                databases.dispose()
                assert before.became() == said, between.commands[at]
                assert ("sql-committed" in recorder.names) == (said == "repaired")
                at, ended = at + 1, len(between.commands) <= at
            assert said == "repaired"
            assert at > 12


def test_a_server_that_is_away_is_an_error_of_the_configuration(mariadb: MariaDB) -> None:
    before = Before(mariadb, CASE)
    with proxy(lambda: 1) as nowhere, pytest.raises(ConfigError, match=r"cannot be used: .*\(error 2013\)|Can't connect"):
        through(nowhere.port, before.world, CASE).commit(CASE, before.world.params, Recorder())
    assert before.became() == "untouched"


# a schema that is not as it must be


@pytest.mark.parametrize(
    ("table", "column", "shown"), [("volumes", "migration_status", False), ("volume_attachment", "detach_time", True)]
)
def test_a_column_that_is_missing_refuses_and_changes_nothing(mariadb: MariaDB, table: str, column: str, shown: bool) -> None:
    """One of a WHERE tells itself in the preview; one that is only set, when it is."""
    world = seeded(mariadb, RELEASE, CASE)
    mariadb.execute(world.url, f"ALTER TABLE {table} DROP COLUMN {column}")
    try:
        sums = world.checksums()
        if shown:
            world.database.preview(sqlfile.load(CASE), world.params)
        else:
            with pytest.raises(DatabaseUnknown, match=rf"Unknown column '{table}.{column}' .*\(error 1054\)"):
                world.database.preview(sqlfile.load(CASE), world.params)
        with pytest.raises(DatabaseRefused, match=r"Unknown column .*\(error 1054\)"):
            world.database.commit(sqlfile.load(CASE), world.params, Recorder())
        assert world.checksums() == sums
    finally:
        mariadb.drop(world.url)


def test_a_server_whose_transactions_are_read_only_is_refused(mariadb: MariaDB) -> None:
    before = Before(mariadb, CASE)
    with proxy(lambda: mariadb.port) as between:
        databases = through(between.port, before.world, CASE)
        mariadb.execute(before.world.url, "SET GLOBAL tx_read_only = 1")
        try:
            with pytest.raises(DatabaseRefused, match="is read-only: use the node that takes writes"):
                databases.commit(CASE, before.world.params, Recorder())
        finally:
            mariadb.execute(before.world.url, "SET GLOBAL tx_read_only = 0")
        databases.dispose()
    assert before.became() == "untouched"


# a full disk under the journal


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def events(journal: Journal) -> list[str]:
    """Those that are whole on the disk."""
    lines = (journal.path / "journal.jsonl").read_text(errors="replace").splitlines(keepends=True)
    return [json.loads(line)["event"] for line in lines if line.endswith("\n")]


def test_a_disk_that_fills_stops_the_run_before_a_change_that_it_could_not_record(mariadb: MariaDB, tmp_path: Path) -> None:
    """At every size of what is left: no row is changed whose images are not on the disk."""
    before = Before(mariadb, CASE)
    whole = Journal(tmp_path / "whole", "volume unstick", "commit", [], "cloud")
    before.world.database.commit(sqlfile.load(CASE), before.world.params, whole.record)
    assert events(whole) == ["sql-before", "sql-after", "sql-committed"]
    full = (whole.path / "journal.jsonl").stat().st_size
    seen: set[tuple[Any, ...]] = set()
    for size in [*range(0, full, full // 12), full - 1, full + 200]:
        before = Before(mariadb, CASE)
        journal = Journal(tmp_path / f"{size}", "volume unstick", "commit", [], "cloud")
        stopped = False
        with room(size):
            try:
                before.world.database.commit(sqlfile.load(CASE), before.world.params, journal.record)
            except JournalError as e:
                stopped = True
                assert "cannot be written (File too large)" in str(e)  # noqa: PT017
        became, kept = before.became(), events(journal)
        assert became == "untouched" or kept[:2] == ["sql-before", "sql-after"]
        assert stopped == ("sql-committed" not in kept)
        seen.add((became, stopped, *kept))
    assert seen == {
        ("untouched", True),
        ("untouched", True, "sql-before"),
        ("repaired", True, "sql-before", "sql-after"),
        ("repaired", False, "sql-before", "sql-after", "sql-committed"),
    }
