"""One moment over all databases of a server: what two databases share holds in every backup, whoever writes."""

from __future__ import annotations

import getpass
import multiprocessing
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
import pytest
import zstandard

from tests.backup.conftest import Backups
from tests.backup.proxy import spreading
from tests.backup.server import Server, wait_until

ACCOUNTS, START = 40, 1000
TABLES = ("cinder.bank", "nova.bank", "placement.bank")


@pytest.fixture
def banks(own_server: Server) -> Iterator[Server]:
    """Three databases with accounts between which money is moved; none is ever lost or made."""
    for table in TABLES:
        own_server.execute(
            f"CREATE TABLE {table} (id INT PRIMARY KEY, money INT NOT NULL); INSERT INTO {table} SELECT seq, {START}"
            f" FROM cinder.seq_1_to_{ACCOUNTS}; CREATE TABLE {table}_log (id BIGINT AUTO_INCREMENT PRIMARY KEY, n INT)"
        )
    return own_server


def _move(socket: str, user: str, seed: int, moved: Any) -> None:
    """Move money between databases, one transaction after the other, for ever; and note each in all of them."""
    dice = random.Random(seed)
    connection = pymysql.connect(unix_socket=socket, user=user, autocommit=False)
    while True:
        source, target = dice.sample(TABLES, 2)
        amount, account = dice.randint(1, 50), dice.randint(1, ACCOUNTS)
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"UPDATE {source} SET money = money - %s WHERE id = %s", (amount, account))
                cursor.execute(f"UPDATE {target} SET money = money + %s WHERE id = %s", (amount, account))
                for table in TABLES:
                    cursor.execute(f"INSERT INTO {table}_log (n) VALUES (%s)", (seed,))
            connection.commit()
        except pymysql.MySQLError:
            connection.rollback()
        with moved.get_lock():
            moved.value += 1


@contextmanager
def load(server: Server, writers: int = 2) -> Iterator[Any]:
    """Processes that write all the time; how much they have written."""
    context = multiprocessing.get_context("fork")
    moved = context.Value("i", 0)
    processes = [context.Process(target=_move, args=(str(server.socket), getpass.getuser(), n, moved)) for n in range(writers)]
    for process in processes:
        process.start()
    try:
        wait_until(lambda: moved.value > 50, 60, "the writers are at work")
        yield moved
    finally:
        for process in processes:
            process.kill()
            process.join()


def state(backups: Backups, name: str) -> tuple[int, list[int]]:
    """The money in all databases, and how many transactions each has a note of."""
    money, notes = 0, []
    for database in ("cinder", "nova", "placement"):
        with (backups.root / name / f"{database}.sql.zst").open("rb") as file:
            text = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
        rows = text.split("INSERT INTO `bank` VALUES\n")[1].split(";\n")[0]
        money += sum(int(m) for m in re.findall(r"^\(\d+,(-?\d+)\)", rows, re.MULTILINE))
        [entry] = [d for d in backups.manifest(name)["databases"] if d["database"] == database]
        notes += [t["rows"] for t in entry["tables"] if t["name"] == "bank_log"]
    return money, notes


def test_what_two_databases_share_holds_in_every_backup(banks: Server, backups: Backups) -> None:
    here = Backups(banks, backups.root)
    with load(banks) as moved:
        for jobs in (1, 2, 4):
            before = moved.value
            here.take("--databases", "cinder,nova,placement", "--jobs", str(jobs))
            assert moved.value > before, "nobody wrote meanwhile: this proves nothing"
    states = [state(here, name) for name in here.names()]
    assert [money for money, _ in states] == [ACCOUNTS * START * len(TABLES)] * 3
    assert [len(set(notes)) for _, notes in states] == [1] * 3, states
    assert [notes[0] for _, notes in states] == sorted({notes[0] for _, notes in states})


def test_without_the_lock_the_manifest_claims_nothing(banks: Server, backups: Backups) -> None:
    here = Backups(banks, backups.root)
    report = here.take("--databases", "cinder,nova", "--no-lock")
    manifest = here.manifest(report["backup"])
    assert manifest["consistent"] == "database"
    assert manifest["servers"][0]["position"] == {}
    assert manifest["servers"][0]["held_seconds"] is None


def test_a_long_reader_and_a_long_writer_do_not_hold_it_up(banks: Server, backups: Backups) -> None:
    """Neither is waited for, and commits wait for no longer than the dumps take to begin."""
    here = Backups(banks, backups.root)
    reader, writer = banks.connect(), banks.connect()
    with reader.cursor() as one, writer.cursor() as other:
        other.execute("BEGIN")
        other.execute("UPDATE cinder.bank SET money = 0 WHERE id = 1")
        one.execute("BEGIN")
        one.execute("SELECT COUNT(*) FROM nova.instances")
        report = here.take("--databases", "cinder,nova", "--lock-wait", "3")
        other.execute("ROLLBACK")
    reader.close()
    writer.close()
    assert here.manifest(report["backup"])["servers"][0]["held_seconds"] < 3


def test_a_proxy_that_spreads_connections_is_noticed(server: Server, own_server: Server, backups: Backups) -> None:
    """Commits of one server held back, and dumps of another: no backup comes of it."""
    with spreading(server, own_server, "mariadb-dump") as port:
        environ = {n: v.replace(f":{server.port}/", f":{port}/") for n, v in server.environ().items()}
        done = backups.run("backup", **environ)
    assert done.code == 5, done.err
    assert "are not to be seen on the server whose commits were held back" in done.err
    assert backups.names() == []
    with spreading(server, own_server, "nobody") as port:
        backups.take(**{n: v.replace(f":{server.port}/", f":{port}/") for n, v in server.environ().items()})
