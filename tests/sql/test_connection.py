"""What opsfix connects to: sessions as they must be, the right database or none, and no password in any error."""

from __future__ import annotations

import re
import traceback
from contextlib import suppress
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa

from opsfix import sqlfile
from opsfix.errors import ConfigError, DatabaseRefused, DatabaseUnknown, GuardError
from opsfix.gateways import database as gateway
from opsfix.gateways.database import Database, Databases
from opsfix.releases import HEADS
from tests.sql import cases, schema
from tests.sql.server import MariaDB
from tests.sql.world import Recorder, World

SECRET = "tell-nobody"
WANTED = {"cinder": sorted({"services", *cases.every()["volume_abandoned.cinder"].tables})}
EMOJI = "the disk of 🐘 \\ \"'; -- %s %(x)s :volume_id"
PROVEN = [(release, database) for release in schema.RELEASES for database in HEADS]


@pytest.fixture
def url(mariadb: MariaDB) -> sa.URL:
    """An empty cinder database."""
    return sa.make_url(mariadb.databases("2026.2", WANTED)["cinder"])


def test_a_session_is_utc_read_committed_strict_and_soon_tired_of_waiting(url: sa.URL) -> None:
    [session] = Database("cinder", str(url.render_as_string(hide_password=False))).rows(
        "SELECT @@time_zone AS zone, @@tx_isolation AS isolation, @@innodb_lock_wait_timeout AS patience,"
        " @@character_set_client AS characters, @@sql_mode AS mode, @@autocommit AS autocommit,"
        " @@wsrep_sync_wait AS synced, NOW() = UTC_TIMESTAMP() AS utc, @@foreign_key_checks AS checks"
    )
    assert session.pop("mode").split(",")[0] == "STRICT_TRANS_TABLES"
    assert session == {
        "zone": "+00:00", "isolation": "READ-COMMITTED", "patience": 5, "characters": "utf8mb4", "autocommit": 0,
        "synced": 1, "utc": 1, "checks": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        pytest.param({"password": SECRET}, "Access denied for user", id="wrong password"),
        pytest.param({"username": "nobody", "password": SECRET}, "Access denied for user", id="unknown user"),
        pytest.param({"host": "no-such-host.invalid", "password": SECRET}, "no-such-host.invalid", id="unknown host"),
        pytest.param({"port": 1, "password": SECRET}, "Can't connect", id="closed port"),
        pytest.param({"database": "nothing_there"}, "Unknown database 'nothing_there'", id="unknown database"),
    ],
)
def test_no_connection_is_an_error_of_the_configuration(url: sa.URL, broken: dict[str, Any], told: str) -> None:
    wrong = url.set(**broken)
    database = Database("cinder", wrong.render_as_string(hide_password=False))
    for use in (database.check, lambda: database.preview(sqlfile.load("volume_abandoned.cinder"), {})):
        with pytest.raises(ConfigError, match=told) as e:
            use()
        shown = "".join(traceback.format_exception(e.value)) + repr(e.value)
        assert str(wrong.password) not in shown


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("ssl_ca=/no/such/ca.pem", "FileNotFoundError|No such file"), ("ssl_mode=SOMETIMES", "unknown ssl_mode: SOMETIMES"),
        ("ssl_mode=VERIFY_CA", "no ssl_ca to verify with"), ("ssl_mode=REQUIRED&ssl_ca=/no/such/ca.pem", "No such file"),
        ("connect_timeout=soon", "soon"), ("plugin=dbcounter", "dbcounter"), ("nonsense=1", "nonsense"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_used_are_errors_of_the_configuration(url: sa.URL, query: str, told: str) -> None:
    text = url.set(password=SECRET).render_as_string(hide_password=False) + "&" + query
    with pytest.raises(ConfigError, match=f"the database cinder at .*({told})") as e:
        Database("cinder", text).check()
    assert SECRET not in "".join(traceback.format_exception(e.value))


@pytest.mark.parametrize(
    ("query", "args"),
    [
        ("ssl_mode=DISABLED&ssl_ca=/ca.pem", {"ssl_disabled": True}),
        ("ssl_mode=PREFERRED", {}),
        ("ssl_mode=REQUIRED", {"ssl": {"verify_mode": False, "check_hostname": False}}),
        ("ssl_mode=REQUIRED&ssl_ca=/ca.pem", {"ssl": {"ca": "/ca.pem", "verify_mode": True, "check_hostname": False}}),
        ("ssl_mode=verify_ca&ssl_ca=/ca.pem", {"ssl": {"ca": "/ca.pem", "verify_mode": True, "check_hostname": False}}),
        ("ssl_mode=VERIFY_IDENTITY&ssl_capath=/ca&ssl_cert=c&ssl_key=k&ssl_key_password=p", {"ssl": {
            "capath": "/ca", "cert": "c", "key": "k", "password": "p", "verify_mode": True, "check_hostname": True,
        }}),
    ],
)  # fmt: skip
def test_ssl_mode_is_said_in_the_drivers_words(query: str, args: dict[str, Any]) -> None:
    made, given = gateway._without_ssl_mode(sa.make_url(f"mysql+pymysql://u@db/x?charset=utf8mb4&{query}"), "x")
    assert given == args
    assert dict(made.query) == {"charset": "utf8mb4"}


@pytest.mark.parametrize("mode", ["DISABLED", "PREFERRED"])
def test_ssl_mode_connects(url: sa.URL, mode: str) -> None:
    text = url.render_as_string(hide_password=False) + f"&ssl_mode={mode}"
    assert Database("cinder", text, pool=1).rows("SELECT 1 AS one") == [{"one": 1}]


def test_without_tls_a_connection_that_requires_it_is_refused(url: sa.URL) -> None:
    text = url.render_as_string(hide_password=False) + "&ssl_mode=REQUIRED"
    with pytest.raises(ConfigError, match="SSL is required"):
        Database("cinder", text, pool=1).check()


def test_a_password_of_any_alphabet_logs_in(mariadb: MariaDB, url: sa.URL) -> None:
    mariadb.execute(url, "CREATE USER 'foreign'@'127.0.0.1' IDENTIFIED BY 'пароль-🐘'")
    try:
        mariadb.execute(url, "GRANT SELECT ON *.* TO 'foreign'@'127.0.0.1'")
        text = url.set(username="foreign", password="пароль-🐘").render_as_string(hide_password=False)
        Database("cinder", text, pool=1).check()
    finally:
        mariadb.execute(url, "DROP USER 'foreign'@'127.0.0.1'")


@pytest.mark.parametrize(("read_only", "start"), [(False, "START TRANSACTION"), (True, "START TRANSACTION READ ONLY")])
def test_only_a_dry_run_reads_in_read_only_transactions(url: sa.URL, read_only: bool, start: str) -> None:
    """A proxy that splits reads from writes sends READ ONLY ones to a replica, which may lag."""
    cinder = Database("cinder", url.render_as_string(hide_password=False), pool=1)
    cinder.check_in_sync()  # connects
    sent: list[str] = []
    sa.event.listen(cinder._engine, "before_cursor_execute", lambda _c, _k, text, *_: sent.append(text))
    databases = Databases({"cinder": cinder}, {})
    databases.read_only = read_only
    databases.read("read_heartbeats.cinder", {})
    databases.check()
    file = sqlfile.load("volume_abandoned.cinder")
    assert [text for text in sent if text.startswith("START")] == [start] * 3
    sent.clear()
    databases.preview("volume_abandoned.cinder", dict.fromkeys(file.params, "x"))
    assert sent[0] == "START TRANSACTION READ ONLY"
    databases.dispose()


@pytest.mark.parametrize(
    "text",
    [f"mysql+pymysql//cinder:{SECRET}@db/cinder", f"cinder:{SECRET}@db", f"postgresql://cinder:{SECRET}@db/cinder",
     f"mysql+pymysql://cinder:{SECRET}@db:port/cinder", ""],
)  # fmt: skip
def test_what_is_no_url_of_mariadb_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as e:
        Database("cinder", text)
    assert SECRET not in "".join(traceback.format_exception(e.value))


@pytest.mark.parametrize(("release", "service"), PROVEN)
def test_a_database_of_a_known_release_is_accepted(mariadb: MariaDB, release: str, service: str) -> None:
    database = Database(service, mariadb.databases(release, {service: ()})[service], pool=1)
    database.check()
    database.dispose()


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        pytest.param("UPDATE alembic_version SET version_num = 'feedc0de'", "schema version feedc0de", id="unknown"),
        pytest.param("INSERT INTO alembic_version VALUES ('feedc0de')", "schema version feedc0de", id="one more"),
        pytest.param("DELETE FROM alembic_version", r"schema version \(none\)", id="none"),
        pytest.param("DROP TABLE alembic_version", r"error 1146\): not a cinder database", id="no table"),
    ],
)
def test_a_schema_that_nobody_tried_is_refused(mariadb: MariaDB, statement: str, told: str) -> None:
    url = mariadb.create_databases("2026.2", WANTED)["cinder"]
    mariadb.execute(url, statement)
    with pytest.raises(GuardError, match=told):
        Databases({"cinder": Database("cinder", url, pool=1)}, {}).check()
    mariadb.drop(url)


@pytest.mark.parametrize("number", [1047, 2013, 1205])
def test_a_failed_read_is_unknown_and_shows_no_statement(
    url: sa.URL, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    database = Database("cinder", url.render_as_string(hide_password=False))
    database.check_in_sync()  # connects
    dialect = database._engine.dialect
    real = dialect.do_execute

    def fail(cursor: Any, statement: str, *rest: Any, **more: Any) -> None:
        if "START TRANSACTION" in statement or number == 2013:
            real(cursor, statement, *rest, **more)
        if "START" not in statement:  # the ROLLBACK as well
            raise pymysql.err.OperationalError(number, "WSREP has not yet prepared node")

    monkeypatch.setattr(dialect, "do_execute", fail)
    file = sqlfile.load("volume_abandoned.cinder")
    for read in (
        lambda: database.rows("SELECT 1 AS :secret", {"secret": SECRET}),
        lambda: database.preview(file, dict.fromkeys(file.params, SECRET)),
    ):
        with pytest.raises(DatabaseUnknown, match=rf"^cinder at mysql://.* \(error {number}\)$") as e:
            read()
        shown = "".join(traceback.format_exception(e.value))
        assert SECRET not in shown
        assert url.password not in shown
    with pytest.raises(ConfigError, match=str(number)):
        database.check()
    with pytest.raises(DatabaseRefused, match="nothing was changed"):
        Databases({"cinder": database}, {}).commit("volume_abandoned.cinder", {}, Recorder())


def test_a_statement_that_the_server_cannot_parse_is_not_shown(url: sa.URL) -> None:
    database = Database("cinder", url.render_as_string(hide_password=False), pool=1)
    with pytest.raises(DatabaseUnknown, match=r"error in your SQL syntax.* \(error 1064\)$") as e:
        database.rows("SELECT 1 FROM :secret", {"secret": SECRET})
    assert SECRET not in str(e.value)
    database.dispose()


def test_a_rollback_that_fails_in_the_end_changes_nothing_and_is_not_used_again(
    url: sa.URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> None:
        raise pymysql.err.OperationalError(1047, "WSREP has not yet prepared node")

    database = Database("cinder", url.render_as_string(hide_password=False), pool=1)
    [before] = database.rows("SELECT CONNECTION_ID() AS id")
    with monkeypatch.context() as broken:
        broken.setattr(database._engine.dialect, "do_rollback", fail)
        assert database.rows("SELECT CONNECTION_ID() AS id") == [before]
    assert database.rows("SELECT CONNECTION_ID() AS id") != [before]
    database.dispose()


def test_an_account_that_may_not_read_is_an_error_of_the_configuration(mariadb: MariaDB, url: sa.URL) -> None:
    mariadb.execute(url, "CREATE USER 'blind'@'127.0.0.1' IDENTIFIED BY 'tell-nobody'")
    try:
        mariadb.execute(url, f"GRANT INSERT ON `{url.database}`.* TO 'blind'@'127.0.0.1'")
        blind = url.set(username="blind", password=SECRET).render_as_string(hide_password=False)
        with pytest.raises(ConfigError, match=r"SELECT command denied .*error 1142"):
            Database("cinder", blind, pool=1).check()
    finally:
        mariadb.execute(url, "DROP USER 'blind'@'127.0.0.1'")


def test_another_services_database_is_refused(url: sa.URL) -> None:
    cell = Database("nova", url.render_as_string(hide_password=False), cell="cell1")
    with pytest.raises(GuardError, match=r"nova \(cell cell1\) at .* has the schema version"):
        Databases({}, {"cell1": cell}).check()


@pytest.mark.parametrize(
    ("answers", "refused"),
    [
        pytest.param({}, False, id="no Galera at all"),
        pytest.param({"ready": "OFF", "cluster_size": "0", "provider_name": ""}, False, id="switched off"),
        pytest.param({"ready": "ON", "cluster_status": "Primary", "local_state": "4"}, False, id="synced"),
        pytest.param({"ready": "ON", "cluster_status": "Primary", "local_state": "2"}, True, id="donor"),
        pytest.param({"ready": "ON", "cluster_status": "non-Primary", "local_state": "4"}, True, id="split"),
        pytest.param({"ready": "OFF", "cluster_status": "Primary", "local_state": "4"}, True, id="not ready"),
    ],
)
def test_a_node_of_galera_must_be_in_sync(
    url: sa.URL, monkeypatch: pytest.MonkeyPatch, answers: dict[str, str], refused: bool
) -> None:
    database = Database("cinder", url.render_as_string(hide_password=False))
    provider = {"provider_name": "Galera"} if answers else {}
    rows = [{"Variable_name": f"wsrep_{name}", "Value": value} for name, value in (provider | answers).items()]
    heads = [{"version_num": head} for head in schema.heads("2026.2", "cinder")]
    monkeypatch.setattr(database, "rows", lambda text: rows if "wsrep" in text else heads)
    databases = Databases({"cinder": database}, {})
    case = cases.every()["volume_abandoned.cinder"]
    if refused:
        with pytest.raises(GuardError, match="not safe to use"):
            databases.check()
        with pytest.raises(GuardError, match="not safe to use"):
            databases.commit(case.file, {}, Recorder())
    else:
        databases.check()


def test_what_is_recorded_names_the_database_and_no_password(mariadb: MariaDB) -> None:
    case = cases.every()["volume_host_fenced.nova"]
    world = World(mariadb, "2026.2", case.database, case.tables)
    case.seed(world)
    recorder = Recorder()
    cell = Database("nova", world.url, pool=1, cell="cell1")
    Databases({}, {"cell1": cell}).commit(case.file, world.params, recorder, cell="cell1")
    named = {(event, data["file"], data["service"], data["cell"], data["database"]) for event, data in recorder.events}
    assert {name[1:4] for name in named} == {(case.file, "nova", "cell1")}
    assert len(named) == len(recorder.events) == 3
    assert mariadb.password not in repr(recorder.events)
    with pytest.raises(ConfigError, match="no database is configured for nova cell cell2"):
        Databases({}, {"cell1": cell}).commit(case.file, world.params, recorder, cell="cell2")
    cell.dispose()


def test_a_read_of_nova_asks_every_cell(mariadb: MariaDB) -> None:
    urls = mariadb.create_databases("2026.2", {"nova": ("instances",), "nova_cell0": ("instances",)})
    for number, url in enumerate(urls.values()):
        mariadb.insert(url, "instances", uuid=f"server-{number}")
    cells = {name: Database("nova", url, pool=1, cell=name) for name, url in urls.items()}
    databases = Databases({}, cells)
    for number, cell in enumerate(cells):
        rows = databases.read("read_server_live.nova", {"server_id": f"server-{number}"})
        assert rows == [{"uuid": f"server-{number}", "cell": cell}]
    assert databases.read("read_server_live.nova", {"server_id": "server-0"}, cell="nova_cell0") == []
    databases.dispose()
    mariadb.drop(*urls.values())


def test_names_of_any_unicode_stay_what_they_are(mariadb: MariaDB) -> None:
    """Columns of utf8mb3 take no four-byte characters, those of a site that uses utf8mb4 do."""
    case = cases.every()["volume_abandoned.cinder"]
    world = World(mariadb, "2026.2", case.database, case.tables)
    mariadb.execute(world.url, "ALTER TABLE volumes MODIFY display_name VARCHAR(255) CHARACTER SET utf8mb4")
    try:
        case.seed(world)
        world.change("volume", display_name=EMOJI)
        recorder = Recorder()
        world.database.commit(sqlfile.load(case.file), world.params, recorder)
        key = ("volumes", world["volume"]["id"])
        assert [(recorder.images(e)[key] or {})["display_name"] for e in ("sql-before", "sql-after")] == [EMOJI, EMOJI]
        assert world.everything()["volumes"][key[1]]["display_name"] == EMOJI
    finally:
        mariadb.execute(world.url, "UPDATE volumes SET display_name = NULL")
        mariadb.execute(world.url, "ALTER TABLE volumes MODIFY display_name VARCHAR(255) CHARACTER SET utf8mb3")


STRANGE = [EMOJI, "' OR 1 = 1 -- ", "detaching' OR '1' = '1", "%", "🐘", "detaching\0", "--"]


def stored(name: str) -> set[str]:
    """The parameters that a file puts into a new row: any value is one."""
    selected = [s.image.split("\nFROM ", 1)[0] for s in sqlfile.load(name).statements if s.columns]
    return {parameter for text in selected for parameter in re.findall(r"(?<!:):(\w+)", text)}


@pytest.mark.parametrize("value", STRANGE)
def test_a_value_is_stored_as_it_is_or_not_at_all(mariadb: MariaDB, value: str) -> None:
    name = "host_unmapped.nova_api"
    case = cases.every()[name]
    world = World(mariadb, "2026.2", case.database, case.tables)
    case.seed(world)
    before = mariadb.rows(world.url, "host_mappings")
    assert stored(name) == {"host"}
    with suppress(DatabaseRefused):  # for characters that the column cannot hold
        world.database.commit(sqlfile.load(name), world.params | {"host": value}, Recorder())
    new = [r for r in mariadb.rows(world.url, "host_mappings") if r not in before]
    assert [r["host"] for r in new] in ([value], [])
    assert len(mariadb.rows(world.url, "host_mappings")) == len(before) + len(new)


@pytest.mark.parametrize("value", STRANGE)
@pytest.mark.parametrize("name", cases.every())
def test_parameters_are_values_and_never_text(mariadb: MariaDB, name: str, value: str) -> None:
    case = cases.every()[name]
    world = World(mariadb, "2026.2", case.database, case.tables)
    case.seed(world)
    before = world.checksums()
    for parameter in {k for k, v in world.params.items() if isinstance(v, str)} - stored(name):
        with pytest.raises(DatabaseRefused):
            world.database.commit(sqlfile.load(name), world.params | {parameter: value}, Recorder())
    assert world.checksums() == before
