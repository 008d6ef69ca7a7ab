"""What a look at the servers tells, and which of it a person is called for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.backup.conftest import Backups
from tests.backup.server import Server, wait_until


def status(here: Backups, code: int, **environ: str) -> dict[str, Any]:
    done = here.run("status", "-o", "json", **environ)
    assert done.code == code, done.err + done.out
    found: dict[str, Any] = json.loads(done.out)
    assert found["schema"] == "opsfix.db-status/1"
    assert found["exit_code"] == code
    return found


def looks(found: dict[str, Any]) -> set[str]:
    return {c["what"] for c in found["checks"] if c["result"] == "look"}


@pytest.fixture
def healthy(own_server: Server, backups: Backups) -> Backups:
    """A server with a fresh backup."""
    here = Backups(own_server, backups.root)
    here.take("--databases", "placement")
    return here


def test_healthy_servers_need_nobody(healthy: Backups) -> None:
    healthy.server.execute("ANALYZE TABLE nova.instances")
    found = status(healthy, 0)
    assert looks(found) == set()
    assert {d["database"]: d["release"] for d in found["databases"]}["neutron"] == "2026.1"
    [instances] = [t for t in found["tables"] if (t["database"], t["table"]) == ("nova", "instances")]
    assert 1000 < instances["rows_estimated"] < 4000
    assert healthy.run("status").code == 0


def test_no_backup_and_an_old_one(healthy: Backups) -> None:
    [name] = healthy.names()
    (healthy.root / name).rename(healthy.root / f"20240229{name[8:]}")
    assert looks(status(healthy, 4)) == {"newest backup"}
    (healthy.root / f"20240229{name[8:]}" / "manifest.json").unlink()
    [row] = [c for c in status(healthy, 4)["checks"] if c["what"] == "newest backup"]
    assert row["value"] == "none"


def test_a_server_that_is_gone(healthy: Backups) -> None:
    gone = "mysql+pymysql://u:p@127.0.0.1:1/glance"
    assert looks(status(healthy, 7, OPSFIX_DATABASE_GLANCE=gone)) == {"database glance"}


def test_an_unknown_release(healthy: Backups) -> None:
    healthy.server.execute("UPDATE glance.alembic_version SET version_num = 'from_the_future'")
    assert looks(status(healthy, 4)) == {"release of glance"}


@contextmanager
def session(server: Server, *statements: str) -> Iterator[None]:
    """A session that is still in the last of its statements, or has left its transaction open."""
    connection = server.connect()

    def run() -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                try:
                    cursor.execute(statement)
                except Exception:  # noqa: BLE001  it is killed in the end
                    return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        server.execute(f"KILL {connection.thread_id()}")
        thread.join()


def test_waits_that_need_a_person(healthy: Backups) -> None:
    """A forgotten LOCK TABLES, and heartbeats of agents that queue up behind it."""
    server = healthy.server
    with session(server, "LOCK TABLES neutron.agents READ", "SELECT SLEEP(600)"):
        wait_until(lambda: "sleep" in str(server.execute("SHOW PROCESSLIST")).lower(), 20, "the table is locked")
        with session(server, "USE neutron", "UPDATE agents SET heartbeat_timestamp = UTC_TIMESTAMP()"):
            late = "SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE 'UPDATE agents%%' AND TIME > 6"
            wait_until(lambda: server.execute(late), 30, "an update waits")
            found = looks(status(healthy, 4))
    assert {"updates of agents", "waits for a table flush"} <= found


def test_deleted_servers_that_wait_are_counted(healthy: Backups) -> None:
    healthy.server.execute("UPDATE nova.instances SET deleted = id WHERE id <= 7")
    rows = {c["what"]: c["value"] for c in status(healthy, 0)["checks"]}
    assert rows["deleted rows of nova"] == "7"
