"""One guarded transaction among others: locks, deadlocks, lost connections, a server that takes no writes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa

from opsfix import sqlfile
from opsfix.errors import DatabaseRefused, DatabaseUnknown
from opsfix.gateways import database as gateway
from opsfix.gateways.database import Database
from tests.sql import cases
from tests.sql.server import MariaDB, database_name
from tests.sql.world import Recorder, World, changed

CASE = cases.every()["volume_attachment_orphaned.cinder"]
FILE = sqlfile.load(CASE.file)
DONE = ["sql-before", "sql-after", "sql-committed"]
DEADLINE = 20.0


class Scene(World):
    """The healthy case behind a gateway of its own, which is watched."""

    def __init__(self, mariadb: MariaDB):
        super().__init__(mariadb, "2026.2", CASE.database, CASE.tables)
        CASE.seed(self)
        self.before, self.since = self.everything(), self.utc()
        self.errors: list[int] = []
        self.connect(self.url)

    def connect(self, url: str) -> None:
        """Use the database through a new gateway."""
        self.database = Database("cinder", url, pool=1)
        self.engine = self.database._engine
        self.connections: list[int] = []
        sa.event.listen(self.engine, "connect", lambda connection, _: self.connections.append(connection.thread_id()))
        sa.event.listen(self.engine, "handle_error", lambda e: self.errors.append(e.original_exception.args[0]))

    def commit(self, recorder: Recorder | None = None) -> Any:
        return self.database.commit(FILE, self.params, recorder or Recorder())

    def kill(self) -> None:
        """End the gateway's connection from another one, and wait until it has ended."""
        victim = self.connections[-1]
        self.mariadb.execute(self.url, f"KILL {victim}")
        listed = "SELECT id FROM information_schema.processlist WHERE id = %s"
        until(lambda: not self.mariadb.execute(self.url, listed, (victim,)))

    def at_commit(self, do: Callable[[Any], None]) -> None:
        """Call with the driver's connection when the gateway is about to send its first COMMIT."""
        sa.event.listen(self.engine, "commit", lambda c: do(c.connection.dbapi_connection), once=True)

    def assert_unchanged(self) -> None:
        assert self.everything() == self.before

    def assert_repaired(self) -> None:
        after = self.everything()
        assert after == changed(self.before, self.expected, after, self.since, self.utc())


@pytest.fixture
def scene(mariadb: MariaDB) -> Iterator[Scene]:
    """See Scene."""
    made = Scene(mariadb)
    yield made
    made.database.dispose()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that do not wait for a lock at all."""
    session = gateway._SESSION.replace("innodb_lock_wait_timeout = 5", "innodb_lock_wait_timeout = 0")
    assert session != gateway._SESSION
    monkeypatch.setattr(gateway, "_SESSION", session)


@contextmanager
def another(scene: Scene, *statements: tuple[str, Any]) -> Iterator[pymysql.cursors.Cursor]:
    """Another client in a transaction in which it has run these statements; rolled back in the end."""
    server = scene.mariadb
    account = {"unix_socket": str(server.socket), "user": server.user, "password": server.password}
    with pymysql.connect(**account, database=database_name(scene.url)) as connection, connection.cursor() as cursor:
        for statement, value in statements:
            cursor.execute(statement, value)
        yield cursor
        connection.rollback()


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.15)  # innodb_trx shows nothing new to who asks again within a tenth of a second


def locking(scene: Scene, name: str, table: str) -> tuple[str, Any]:
    return f"SELECT id FROM {table} WHERE id = %s FOR UPDATE", (scene[name]["id"],)


def test_a_lock_that_is_let_go_is_waited_for(scene: Scene) -> None:
    with another(scene, locking(scene, "volume", "volumes")) as client:
        thread = threading.Thread(target=scene.commit)
        thread.start()
        until(lambda: waiting(scene))
        client.connection.rollback()
        thread.join(DEADLINE)
    assert scene.errors == []
    scene.assert_repaired()


@pytest.mark.usefixtures("impatient")
def test_a_lock_wait_that_ended_is_tried_again(scene: Scene) -> None:
    recorder = Recorder()
    with another(scene, locking(scene, "stale", "volume_attachment")) as client:
        sa.event.listen(scene.engine, "handle_error", lambda _: client.connection.rollback(), once=True)
        scene.commit(recorder)
    assert scene.errors == [1205]
    assert recorder.names == DONE
    scene.assert_repaired()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("name", "table"), [("volume", "volumes"), ("stale", "volume_attachment")])
def test_rows_that_stay_locked_are_left_alone(scene: Scene, name: str, table: str) -> None:
    recorder = Recorder()
    with (
        another(scene, locking(scene, name, table)),
        pytest.raises(DatabaseRefused, match=r"stayed locked by others \(error 1205\)"),
    ):
        scene.commit(recorder)
    assert scene.errors == [1205] * 5
    assert recorder.names == []
    scene.assert_unchanged()


@pytest.mark.usefixtures("impatient")
def test_guards_are_checked_again_after_a_wait(scene: Scene) -> None:
    with another(scene, locking(scene, "volume", "volumes")) as client:

        def repaired_by_another(_: Any) -> None:
            client.execute("UPDATE volumes SET status = 'detaching' WHERE id = %s", (scene["volume"]["id"],))
            client.connection.commit()

        sa.event.listen(scene.engine, "handle_error", repaired_by_another, once=True)
        with pytest.raises(DatabaseRefused, match="0 rows match"):
            scene.commit()
    scene.before["volumes"][scene["volume"]["id"]]["status"] = "detaching"
    scene.assert_unchanged()


def test_a_deadlock_is_tried_again(scene: Scene) -> None:
    # The server gives up the transaction that has changed less: this one, which so far has only locked.
    heavier = ("UPDATE volume_admin_metadata SET value = 'changed' WHERE id > %s", (0,))
    recorder = Recorder()
    with another(scene, heavier, locking(scene, "stale", "volume_attachment")) as client:
        thread = threading.Thread(target=scene.commit, args=(recorder,))
        thread.start()
        until(lambda: waiting(scene))
        client.execute(*locking(scene, "volume", "volumes"))
        client.connection.rollback()
        thread.join(DEADLINE)
    assert scene.errors == [1213]
    assert recorder.names == DONE
    scene.assert_repaired()


def test_a_commit_that_the_cluster_refuses_is_tried_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Galera certifies at COMMIT, and answers 1213 where another node was first."""
    real, refusals = scene.engine.dialect.do_commit, []

    def certify(connection: Any) -> None:
        if refusals:
            return real(connection)
        refusals.append(connection.rollback())
        raise pymysql.err.OperationalError(1213, "Deadlock found when trying to get lock")

    monkeypatch.setattr(scene.engine.dialect, "do_commit", certify)
    recorder = Recorder()
    scene.commit(recorder)
    assert recorder.names == [*DONE[:2], *DONE]
    scene.assert_repaired()


def test_a_statement_that_an_earlier_one_took_the_rows_from_is_refused(scene: Scene) -> None:
    """Each WHERE has to hold before the run and when its turn comes."""
    [once] = [statement for statement in FILE.statements if statement.table == "volumes"]
    twice = replace(FILE, statements=(once, once))
    scene.change("stale", deleted=1)
    scene.before = scene.everything()
    with pytest.raises(DatabaseRefused, match="0 rows changed where 1 were locked; rolled back"):
        scene.database.commit(twice, scene.params, Recorder())
    scene.assert_unchanged()


@pytest.mark.parametrize("event", ["sql-before", "sql-after"])
def test_a_connection_lost_before_the_commit_changes_nothing(scene: Scene, event: str) -> None:
    with pytest.raises(DatabaseRefused, match=r"Lost connection .*nothing was changed|the connection .*was lost .*nothing was changed"):
        scene.commit(Recorder(event, scene.kill))
    scene.assert_unchanged()
    scene.commit()
    scene.assert_repaired()


def test_a_commit_that_never_arrived_is_read_back(scene: Scene) -> None:
    scene.at_commit(lambda _: scene.kill())
    recorder = Recorder()
    with pytest.raises(DatabaseRefused, match="read back: nothing was changed"):
        scene.commit(recorder)
    assert recorder.names == DONE[:2]
    scene.assert_unchanged()


def test_a_commit_whose_answer_was_lost_is_read_back(scene: Scene) -> None:
    scene.at_commit(lambda connection: (connection.commit(), scene.kill()))
    recorder = Recorder()
    assert scene.commit(recorder).rows == sum(map(len, scene.expected.values()))
    assert recorder.names == DONE
    scene.assert_repaired()


def test_a_lost_commit_whose_rows_were_changed_since_is_unknown(scene: Scene) -> None:
    def lose(connection: Any) -> None:
        connection.commit()
        scene.kill()
        scene.change("volume", status="attaching")

    scene.at_commit(lose)
    with pytest.raises(DatabaseUnknown, match="neither as before nor as written"):
        scene.commit()


def test_a_lost_commit_that_cannot_be_read_back_is_unknown(scene: Scene) -> None:
    with account(scene) as (url, drop):
        scene.connect(url)
        scene.at_commit(lambda _: (drop(), scene.kill()))
        with pytest.raises(DatabaseUnknown, match="reading back failed: the database") as e:
            scene.commit()
        assert "tell-nobody" not in str(e.value)
    scene.assert_unchanged()


@pytest.mark.parametrize("number", [1047, 1053, 1180, 1317, 1927, 0])
@pytest.mark.parametrize("arrived", [True, False])
def test_an_error_at_commit_proves_nothing_and_is_read_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, number: int, arrived: bool
) -> None:
    """A proxy, or a node that leaves its cluster, answers so whether or not the commit took place."""
    real, calls = scene.engine.dialect.do_commit, []

    def fail(connection: Any) -> None:
        calls.append(arrived and real(connection))
        raise pymysql.err.OperationalError(number, "WSREP has not yet prepared node for application use")

    monkeypatch.setattr(scene.engine.dialect, "do_commit", fail)
    recorder = Recorder()
    if arrived:
        scene.commit(recorder)
        assert recorder.names == DONE
        scene.assert_repaired()
    else:
        with pytest.raises(DatabaseRefused, match=rf"node for .* \(error {number}\)\); read back: nothing was changed"):
            scene.commit(recorder)
        scene.assert_unchanged()
    assert len(calls) == 1


def test_a_commit_that_cannot_be_read_back_shows_no_statement(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(connection: Any) -> None:
        scene.mariadb.execute(scene.url, "RENAME TABLE volumes TO away")
        raise pymysql.err.OperationalError(1047, "WSREP has not yet prepared node")

    scene.at_commit(lambda connection: connection.rollback())
    monkeypatch.setattr(scene.engine.dialect, "do_commit", leave)
    try:
        with pytest.raises(DatabaseUnknown, match=r"doesn't exist \(error 1146\)") as e:
            scene.commit()
        assert "SELECT" not in str(e.value)
    finally:
        scene.mariadb.execute(scene.url, "RENAME TABLE away TO volumes")
    scene.assert_unchanged()


def test_a_server_that_takes_no_writes_is_refused(scene: Scene) -> None:
    with account(scene) as (url, _):
        scene.connect(url)
        scene.mariadb.execute(url, "SET GLOBAL read_only = 1")
        try:
            assert scene.database.preview(FILE, scene.params).refusal is None
            with pytest.raises(DatabaseRefused, match="is read-only: use the node that takes writes"):
                scene.commit()
        finally:
            scene.mariadb.execute(url, "SET GLOBAL read_only = 0")
    scene.assert_unchanged()


def test_an_account_that_may_not_write_is_refused(scene: Scene) -> None:
    with account(scene, "SELECT, UPDATE") as (url, _):
        scene.connect(url)
        with pytest.raises(DatabaseRefused, match=r"DELETE command denied .* \(error 1142\)"):
            scene.commit()
    scene.assert_unchanged()


def test_a_preview_sends_nothing_but_reads_in_a_read_only_transaction(scene: Scene) -> None:
    scene.database.check_in_sync()  # connects
    with logged(scene) as sent:
        scene.database.preview(FILE, scene.params)
    assert sent[0] == "START TRANSACTION READ ONLY"
    assert sent[-1] == "ROLLBACK"
    assert len(sent) > len(FILE.statements)
    assert {text.split()[0] for text in sent[1:-1]} <= {"SELECT", "ROLLBACK"}
    assert not any("FOR UPDATE" in text for text in sent)


def test_a_commit_locks_every_row_before_it_changes_the_first(scene: Scene) -> None:
    scene.database.check_in_sync()  # connects
    with logged(scene) as sent:
        scene.commit()
    kinds = [next((k for k in ("FOR UPDATE", "UPDATE", "DELETE", "COMMIT") if k in text), "") for text in sent]
    acts = [kind for kind in kinds if kind]
    changes = ["DELETE" if s.text.startswith("DELETE") else "UPDATE" for s in FILE.statements if s.changes]
    assert acts == ["FOR UPDATE"] * len(FILE.statements) + changes + ["COMMIT"]


def waiting(scene: Scene) -> Any:
    """Whether the gateway waits for a lock."""
    where = "trx_state = 'LOCK WAIT' AND trx_mysql_thread_id = %s"
    select = f"SELECT trx_id FROM information_schema.innodb_trx WHERE {where}"
    return scene.connections and scene.mariadb.execute(scene.url, select, (scene.connections[-1],))


@contextmanager
def account(scene: Scene, rights: str = "SELECT, UPDATE, DELETE") -> Iterator[tuple[str, Callable[[], None]]]:
    """An account with these rights on the scene's database: the URL with it, and what removes it."""
    user = "'opsfix_small'@'127.0.0.1'"
    execute = scene.mariadb.execute
    execute(scene.url, f"CREATE USER {user} IDENTIFIED BY 'tell-nobody'")
    execute(scene.url, f"GRANT {rights} ON `{database_name(scene.url)}`.* TO {user}")
    try:
        url = sa.make_url(scene.url).set(username="opsfix_small", password="tell-nobody")
        yield url.render_as_string(hide_password=False), lambda: execute(scene.url, f"DROP USER {user}")
    finally:
        execute(scene.url, f"DROP USER IF EXISTS {user}")


@contextmanager
def logged(scene: Scene) -> Iterator[list[str]]:
    """What the server receives from the gateway's connection, statement by statement."""
    sent: list[str] = []
    execute = scene.mariadb.execute
    execute("mysql", "TRUNCATE general_log")
    execute("mysql", "SET GLOBAL log_output = 'TABLE'")
    execute("mysql", "SET GLOBAL general_log = 1")
    try:
        yield sent
    finally:
        execute("mysql", "SET GLOBAL general_log = 0")
    select = "SELECT argument FROM general_log WHERE thread_id = %s AND command_type = 'Query' ORDER BY event_time"
    arguments = [row["argument"] for row in execute("mysql", select, (scene.connections[-1],))]
    sent += [a.decode() if isinstance(a, bytes) else a for a in arguments]
