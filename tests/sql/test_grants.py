"""The account of `opsfix config grants`: every file of sql/ works with it, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from opsfix import sqlfile
from opsfix.cli import cli
from opsfix.errors import DatabaseRefused, LockedError
from opsfix.gateways.database import Database, Databases
from opsfix.gateways.opening import cloud_lock
from opsfix.grants import Scope, rights, statements
from tests.sql import schema
from tests.sql.server import MariaDB, database_name
from tests.sql.test_fallbacks import CASES, seeded
from tests.sql.test_reads import CASES as READS
from tests.sql.test_reads import in_order
from tests.sql.world import Recorder, World, changed

SERVICES = ("cinder", "nova_api", "nova", "glance", "placement")
PASSWORD = "of-the-small-one"
#: The oldest and the newest; between them no table of sql/ came or went but share_mapping.
RELEASES = (schema.RELEASES[0], schema.RELEASES[-1])


@contextmanager
def account(mariadb: MariaDB, url: str, service: str, scope: Scope = Scope.REPAIR) -> Iterator[Database]:
    """The database through an account that has just what is printed."""
    user, name = "opsfix_least@127.0.0.1", database_name(url)
    tables = {str(value) for row in mariadb.execute(url, "SHOW TABLES") for value in row.values()}
    mariadb.execute(url, f"CREATE USER 'opsfix_least'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
    try:
        for grant in statements(service, name, tables, user, scope):
            mariadb.execute(url, grant)
        small = sa.make_url(url).set(username="opsfix_least", password=PASSWORD)
        database = Database(service, small.render_as_string(hide_password=False), pool=1)
        yield database
        database.dispose()
    finally:
        mariadb.execute(url, "DROP USER 'opsfix_least'@'127.0.0.1'")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", CASES)
def test_a_fallback_works_with_it(mariadb: MariaDB, release: str, name: str) -> None:
    file, world = sqlfile.load(name), seeded(mariadb, release, name)
    before, since = world.everything(), world.utc()
    with account(mariadb, world.url, file.database) as database:
        assert database.preview(file, world.params).refusal is None
        database.commit(file, world.params, Recorder())
    after = world.everything()
    assert after == changed(before, world.expected, after, since, world.utc())


@pytest.mark.parametrize("name", READS)
def test_a_read_works_with_it_and_with_less(mariadb: MariaDB, name: str) -> None:
    file, case = sqlfile.load(name), next(iter(READS[name].values()))
    world = World(mariadb, "2026.2", file.database, case.tables)
    wanted = case.seed(world)
    with account(mariadb, world.url, file.database, Scope.READ) as database:
        database.check()
        assert in_order(database.rows(file.statements[0].text, world.params)) == in_order(wanted)


@pytest.mark.parametrize("service", SERVICES)
def test_the_checks_and_the_lock_work_with_less(mariadb: MariaDB, service: str) -> None:
    url = mariadb.databases("2026.2", {service: None})[service]
    with account(mariadb, url, service, Scope.READ) as database:
        databases = Databases({service: database}, {})
        databases.check()
        with cloud_lock(databases) as lock, pytest.raises(LockedError), cloud_lock(databases):
            pass
        assert lock.warnings == []


@pytest.mark.parametrize("name", CASES)
def test_without_a_right_to_write_a_preview_works_and_a_commit_is_refused(mariadb: MariaDB, name: str) -> None:
    file, world = sqlfile.load(name), seeded(mariadb, "2026.2", name)
    before = world.checksums()
    with account(mariadb, world.url, file.database, Scope.READ) as database:
        assert database.preview(file, world.params).refusal is None
        with pytest.raises(DatabaseRefused, match=r"command denied to user .* \(error 114[23]\)"):
            database.commit(file, world.params, Recorder())
    assert world.checksums() == before


@pytest.mark.parametrize("name", CASES)
def test_a_row_returns_with_an_account_that_may_undo(mariadb: MariaDB, name: str) -> None:
    file, world, recorder = sqlfile.load(name), seeded(mariadb, "2026.2", name), Recorder()
    before = world.everything()
    with account(mariadb, world.url, file.database, Scope.UNDO) as database:
        database.commit(file, world.params, recorder)
        images = [next(d["images"] for e, d in recorder.events if e == event) for event in ("sql-before", "sql-after")]
        database.put_back(name, *images, Recorder())
    assert world.everything() == before


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_else_is_allowed(mariadb: MariaDB, service: str) -> None:
    """Each column of each table that no file sets, each table that no file deletes from or reads."""
    url = mariadb.databases("2026.2", {service: None})[service]
    wanted, known = rights(service), schema.tables("2026.2", service)
    tried = 0
    with account(mariadb, url, service) as small, small.session() as connection:
        for table, columns in ((t, d["columns"]) for t, d in known.items()):
            may = wanted.get(table)
            texts = [f"UPDATE `{table}` SET `{c}` = NULL WHERE FALSE" for c in columns if not may or c not in may.columns]
            texts += [] if may and may.delete else [f"DELETE FROM `{table}` WHERE FALSE"]
            texts += [] if may else [f"SELECT 1 FROM `{table}` WHERE FALSE"]
            texts += [f"INSERT INTO `{table}` SELECT * FROM `{table}` WHERE FALSE", f"DROP TABLE `{table}`", f"LOCK TABLES `{table}` WRITE",
                      f"ALTER TABLE `{table}` ADD COLUMN x INT", f"TRUNCATE TABLE `{table}`"]  # fmt: skip
            for text in texts:
                with pytest.raises(sa.exc.DBAPIError) as e:
                    connection.exec_driver_sql(text)
                assert e.value.orig.args[0] in (1142, 1143, 1044), text
                tried += 1
        for text in ("SELECT 1 FROM mysql.user", "SET GLOBAL read_only = 1", "CREATE TABLE x (x INT)", "CREATE USER u", "FLUSH TABLES"):
            with pytest.raises(sa.exc.DBAPIError) as e:
                connection.exec_driver_sql(text)
            assert e.value.orig.args[0] in (1044, 1142, 1227), text
    assert tried > len(known) * 6


def test_the_command_prints_what_the_configured_databases_need(mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch) -> None:
    """For each cell under its own name, and no table that the release has not."""
    api = mariadb.databases("yoga", {"nova_api": None})["nova_api"]
    cells = mariadb.databases("yoga", {"nova": None, "nova_cell0": None})
    for url in cells.values():
        mariadb.insert(api, "cell_mappings", database_connection=url, transport_url="none:///")
    monkeypatch.setenv("OPSFIX_DATABASE_NOVA_API", api)
    monkeypatch.setenv("OPSFIX_SERVICES_CONF_DIR", "/")
    shown = CliRunner().invoke(cli, ["config", "grants", "--account", "fix@10.0.0.%"])
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert all(line.startswith("GRANT SELECT") and line.endswith(" TO 'fix'@'10.0.0.%';") for line in lines)
    for url in (api, *cells.values()):
        assert f" ON `{database_name(url)}`.`alembic_version` TO" in shown.stdout
    assert "share_mapping" not in shown.stdout
    assert mariadb.password not in shown.output
    mariadb.execute(api, "CREATE USER 'fix'@'10.0.0.%'")
    try:
        for line in lines:
            mariadb.execute(api, line)
    finally:
        mariadb.execute(api, "DROP USER 'fix'@'10.0.0.%'")
    read_only = CliRunner().invoke(cli, ["config", "grants", "--for", "read"])
    assert {line.split(" ON ")[0] for line in read_only.stdout.splitlines()} == {"GRANT SELECT"}


@pytest.mark.parametrize("account", ["", "a'b", "a@b@c", "a@b'c", "`", "a\n", "x" * 81, "a@", "a@b c"])
def test_what_is_no_account_is_refused(account: str) -> None:
    done = CliRunner().invoke(cli, ["config", "grants", "--account", account], catch_exceptions=True)
    assert done.exit_code != 0
    with pytest.raises(Exception, match="no account of the form"):
        statements("cinder", "cinder", {"volumes"}, account, Scope.READ)
