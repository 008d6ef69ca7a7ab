"""A backup of real servers: what is in it, how it is kept from others, and what it refuses."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.backup.conftest import Backups
from tests.backup.server import PASSWORD, SERVICES, Server, running, wait_until

#: The server rewrites them as it likes.
STATISTICS = {"innodb_index_stats", "innodb_table_stats"}


def by_database(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {d["database"]: d for d in manifest["databases"]}


def test_every_database_of_every_service_and_cell_is_in_it(backups: Backups) -> None:
    report = backups.take()
    [name] = backups.names()
    assert report["schema"] == "opsfix.backup/1"
    assert (report["backup"], report["path"]) == (name, str(backups.root / name))
    found = by_database(backups.manifest(name))
    assert set(found) == {*SERVICES, "mysql"}
    for database, entry in found.items():
        rows = {t["name"]: t["rows"] for t in entry["tables"]}
        wanted = backups.server.rows(database)
        assert set(rows) == set(wanted) - (STATISTICS if database == "mysql" else set())
        if database != "mysql":
            assert rows == wanted, database
            assert entry["alembic_heads"]
            assert "2026.1" in entry["release"] or entry["release"].startswith("20")
    assert found["nova"]["rows"] > 2000
    assert backups.manifest(name)["servers"][0]["position"]["binlog_file"].startswith("binlog.")


def test_others_cannot_read_it(backups: Backups) -> None:
    backups.take()
    for path in [backups.root, *backups.root.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    [name] = backups.names()
    assert {p.name for p in (backups.root / name).glob("*.zst")} == {f"{d}.sql.zst" for d in (*SERVICES, "mysql")}


def test_it_can_be_checked_and_read_without_opsfix(backups: Backups) -> None:
    backups.take("--databases", "glance", "--rows", "one-per-line")
    [name] = backups.names()
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=backups.root / name, check=True)
    [entry] = backups.manifest(name)["databases"]
    with (backups.root / name / "glance.sql.zst").open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file).read()
    assert len(text) == entry["dump_bytes"]
    assert text.rstrip().splitlines()[-1].startswith(b"-- Dump completed on ")
    for needed in (b"PROCEDURE `p`", b"TRIGGER", b"EVENT", b"VIEW `v`"):
        assert needed in text
    assert sum(line.startswith(b"INSERT INTO `odd ``name` ") for line in text.splitlines()) == 2
    assert next(t["rows"] for t in entry["tables"] if t["name"] == "odd `name") == 2


def test_no_password_is_anywhere(backups: Backups) -> None:
    """Not in arguments or environments of any process, not in the log, the report or the backup."""
    seen: set[bytes] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for pid in filter(str.isdigit, os.listdir("/proc")):
                for file in ("cmdline", "environ"):
                    try:
                        content = Path(f"/proc/{pid}/{file}").read_bytes()
                        name = Path(f"/proc/{pid}/comm").read_text().strip()
                    except OSError:
                        continue
                    if file == "cmdline" or name.startswith("mariadb-dump"):
                        seen.add(content)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        ran = backups.run("backup", "-o", "json", "--keep", "3")
    finally:
        done.set()
        watcher.join()
    assert ran.code == 0, ran.err
    assert any(b"mariadb-dump" in content for content in seen)
    written = [p.read_bytes() for p in backups.root.rglob("*.json")]
    for content in (*seen, ran.out.encode(), ran.err.encode(), *written):
        assert PASSWORD.encode() not in content
        assert b"%27a%22s" not in content


def test_nothing_is_written_by_a_dry_run(backups: Backups) -> None:
    done = backups.run("backup", "--keep", "1", "--dry-run")
    assert done.code == 0, done.err
    assert "nova_cell0" in done.out
    assert not backups.root.exists()


def test_a_part_is_taken_by_name_or_by_service(backups: Backups) -> None:
    report = backups.take("--databases", "nova,mysql")
    assert {d["database"] for d in report["databases"]} == {"nova", "nova_cell0", "mysql"}
    strange = backups.run("backup", "--databases", "novva")
    assert strange.code == 2
    assert "novva" in strange.err
    assert "nova_cell0" in strange.err


@pytest.mark.parametrize("arguments", [["--keep", "0"], ["--keep-days", "0"], ["--keep-daily", "-1"], ["--keep", "many"]])
def test_an_empty_policy_is_refused(backups: Backups, arguments: list[str]) -> None:
    assert backups.run("backup", *arguments).code == 2
    assert not backups.root.exists()


def test_a_wrong_password_writes_nothing(backups: Backups) -> None:
    wrong = backups.server.url("cinder", password="wrong-password")
    done = backups.run("backup", "--keep", "1", OPSFIX_DATABASE_CINDER=wrong)
    assert done.code == 7
    assert "Access denied" in done.err
    assert "wrong-password" not in done.err
    assert backups.names() == []
    assert backups.rubbish() == []


def test_no_server_is_a_refused_connection(backups: Backups) -> None:
    gone = "mysql+pymysql://u:p@127.0.0.1:1/cinder"
    assert backups.run("backup", OPSFIX_DATABASE_CINDER=gone).code == 7
    assert backups.names() == []


def test_without_any_database_there_is_nothing_to_back_up(backups: Backups, tmp_path: Path) -> None:
    environ = {name: "" for name in backups.server.environ() if name.startswith("OPSFIX_DATABASE")}
    done = backups.run("backup", OPSFIX_SERVICES_CONF_DIR=str(tmp_path), **environ)
    assert done.code == 7
    assert "no database is configured" in done.err


def test_an_account_that_may_not_is_told_what_it_needs(backups: Backups) -> None:
    own = {f"OPSFIX_DATABASE_{d.upper()}": backups.server.url(d, d, "own") for d in ("cinder", "placement")}
    others = {n: "" for n in backups.server.environ() if n.startswith("OPSFIX_DATABASE") and n not in own}
    done = backups.run("backup", **own, **others)
    assert done.code == 5
    assert "GRANT RELOAD" in done.err
    assert backups.names() == []
    report = backups.take("--no-lock", **own, **others)
    assert {d["database"] for d in report["databases"]} == {"cinder", "placement"}
    assert backups.manifest(report["backup"])["consistent"] == "database"


def test_an_option_file_names_the_account(backups: Backups, tmp_path: Path) -> None:
    own = {f"OPSFIX_DATABASE_{d.upper()}": backups.server.url(d, d, "wrong") for d in SERVICES if d not in ("nova_cell0", "nova_api")}
    quoted = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
    (tmp_path / "my.cnf").write_text(f'[mysqld]\nuser = nobody\n[client]\nuser = opsfix\npassword = "{quoted}"  # mine\n')
    report = backups.take("--defaults-file", str(tmp_path / "my.cnf"), **own)
    assert {d["database"] for d in report["databases"]} == {*SERVICES, "mysql"}
    assert backups.run("backup", "--defaults-file", tmp_path / "none").code == 7


def test_a_long_change_of_a_table_is_not_waited_for(backups: Backups) -> None:
    """A statement that holds the backup's lock off ends the backup, and the servers' writers go on."""
    blocker = backups.server.connect()
    with blocker.cursor() as cursor:
        cursor.execute("BACKUP STAGE START")
        began = time.monotonic()
        done = backups.run("backup", "--lock-wait", "1")
        cursor.execute("BACKUP STAGE END")
    blocker.close()
    assert done.code == 5, done.err
    assert "could not be held back within 1 s" in done.err
    assert time.monotonic() - began < 30
    assert backups.names() == []


def test_the_global_read_lock_serves_where_there_are_no_stages(template: Path, tmp_path: Path) -> None:
    with running(template, tmp_path, "--version=10.4.34-MariaDB") as old:
        here = Backups(old, tmp_path / "backups")
        report = here.take()
        assert report["servers"][0]["version"].startswith("10.4")
        assert here.manifest(report["backup"])["servers"][0]["held_seconds"] < 5
        reader = old.connect()
        with reader.cursor() as cursor:
            cursor.execute("LOCK TABLES nova.instances WRITE")
            done = here.run("backup", "--lock-wait", "1", "--keep", "1")
        reader.close()
        assert done.code == 5, done.err
        assert here.names() == [report["backup"]]


def test_two_servers_have_a_moment_each(backups: Backups, own_server: Server) -> None:
    report = backups.take(OPSFIX_DATABASE_GLANCE=own_server.url("glance"))
    servers = {d["database"]: d["server"] for d in report["databases"]}
    assert servers["glance"].endswith(f":{own_server.port}")
    assert servers["nova"].endswith(f":{backups.server.port}")
    files = [d["file"] for d in report["databases"]]
    assert len(set(files)) == len(files)
    assert {"mysql.sql.zst", "mysql@2.sql.zst"} <= set(files)


def test_tables_that_come_and_go_meanwhile_spoil_the_backup(backups: Backups, tmp_path: Path) -> None:
    """What was listed and what was dumped must be the same tables: here a dump that was told to leave one out."""
    real = shutil.which("mariadb-dump")
    fake = tmp_path / "mariadb-dump"
    fake.write_text(
        f'#!/bin/bash\ncase "$1" in --version) exec {real} --version;; esac\nexec {real} "$1" --ignore-table=cinder.volumes "${{@:2}}"\n'
    )
    fake.chmod(0o755)
    done = backups.run("backup", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.code == 4, done.err
    assert "do not have the same tables (volumes)" in done.err
    assert backups.names() == []


def test_two_at_once(backups: Backups) -> None:
    backups.root.mkdir(mode=0o700)
    with (backups.root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = backups.run("backup")
    assert done.code == 8
    assert "another backup is at work" in done.err
    assert backups.names() == []


def test_metrics_tell_of_success_and_of_failure(backups: Backups, tmp_path: Path) -> None:
    file = tmp_path / "opsfix.prom"

    def figures() -> dict[str, float]:
        lines = [line.split() for line in file.read_text().splitlines() if not line.startswith("#")]
        return {name.removeprefix("opsfix_backup_"): float(value) for name, value in lines}

    backups.take("--metrics", str(file))
    good = figures()
    assert good["last_run_failed"] == 0
    assert good["kept"] == 1
    assert good["bytes"] > 1000
    assert backups.run("backup", "--metrics", file, OPSFIX_DATABASE_NOVA=backups.server.url("nova", password="x")).code == 7
    bad = figures()
    assert bad["last_run_failed"] == 1
    assert bad["last_success_timestamp_seconds"] == good["last_success_timestamp_seconds"]
    wait_until(lambda: not list(tmp_path.glob(".opsfix.prom*")), 1, "no part of the metrics file is left")


def test_low_priority_and_jobs_make_the_same_backup(backups: Backups) -> None:
    one = backups.take("--low-priority", "--jobs", "1")
    many = backups.take("--jobs", "9")
    digests = [
        {(d["database"], t["name"]): t["digest"] for d in backups.manifest(r["backup"])["databases"] for t in d["tables"]
         if d["database"] != "mysql"}
        for r in (one, many)
    ]
    assert digests[0] == digests[1]
