"""A backup is worth what a restore of it is: the same rows, nowhere that anybody works, and on where it was cut off."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.backup.conftest import Backups
from tests.backup.server import OPSFIX, PASSWORD, SERVICES, Server, wait_until


@pytest.fixture(scope="module")
def taken(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Backups:
    """A directory with one backup of everything; tests copy what they damage."""
    found = Backups(server, tmp_path_factory.mktemp("taken") / "backups")
    found.take()
    return found


@pytest.fixture
def copied(taken: Backups, tmp_path: Path) -> Backups:
    """A copy of that directory."""
    shutil.copytree(taken.root, tmp_path / "copied")
    return Backups(taken.server, tmp_path / "copied")


def report(done: Any, code: int = 0) -> dict[str, Any]:
    assert done.code == code, done.err + done.out
    found: dict[str, Any] = json.loads(done.out)
    return found


def flip(path: Path, place: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 4
    path.write_bytes(content)


def rewrite(path: Path, manifest: dict[str, Any]) -> None:
    """Another manifest, with hashes that fit."""
    path.write_text(json.dumps(manifest))
    files = sorted([path.name, *(f"{d['database']}.sql.zst" for d in manifest["databases"])])
    subprocess.run(f"sha256sum {' '.join(files)} >SHA256SUMS", shell=True, cwd=path.parent, check=True)


def test_verify_finds_damage_and_says_where(copied: Backups) -> None:
    [name] = copied.names()
    assert report(copied.run("verify", "-o", "json"))["backups"][0]["result"] == "good"
    flip(copied.root / name / "cinder.sql.zst")
    [row] = report(copied.run("verify", name, "-o", "json"), 4)["backups"]
    assert (row["result"], row["reason"]) == ("damaged", "cinder.sql.zst is not what was written: its hash differs")
    for command in (["restore", name, "--as", "nova=nova_x"], ["verify", "--restore"]):
        done = copied.run(*command)
        assert done.code == 4
        assert "cinder.sql.zst" in done.err + done.out
    assert copied.server.execute("SHOW DATABASES LIKE 'nova_x'") == []


def test_a_truncated_one_is_listed_as_damaged_and_no_name_is_an_error(copied: Backups) -> None:
    [name] = copied.names()
    os.truncate(copied.root / name / "nova.sql.zst", 100)
    [row] = report(copied.run("list", "-o", "json"))["backups"]
    assert row["state"] == "damaged"
    assert "has 100 bytes" in row["reason"]
    assert copied.run("verify").code == 4
    for command in ("verify", "restore"):
        assert copied.run(command, "20990101T000000Z").code == 4


def test_an_empty_directory_has_nothing_to_verify(server: Server, tmp_path: Path) -> None:
    here = Backups(server, tmp_path / "none")
    assert here.run("verify").code == 4
    assert here.run("list").code == 0
    assert not here.root.exists()


def test_a_scratch_server_proves_a_backup_and_leaves_nothing(taken: Backups, tmp_path: Path) -> None:
    found = report(taken.run("verify", "--restore", "--scratch", tmp_path, "--jobs", "4", "-o", "json", timeout=300))
    assert found["by"] == "restore"
    assert {r["database"] for r in found["backups"]} == {*SERVICES, "mysql"}
    assert {(r["result"], r["reason"]) for r in found["backups"]} == {("good", "")}
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_server_finds_what_hashes_cannot(copied: Backups, tmp_path: Path) -> None:
    """A manifest that speaks of other rows than its dump has, with hashes that fit."""
    [name] = copied.names()
    path = copied.root / name / "manifest.json"
    manifest = json.loads(path.read_text())
    [placement] = [d for d in manifest["databases"] if d["database"] == "placement"]
    placement["tables"][0]["rows"] += 1
    placement["tables"][1]["digest"] = "0" * 40
    manifest["databases"] = [placement]
    rewrite(path, manifest)
    assert copied.run("verify").code == 0
    [row] = report(copied.run("verify", "--restore", "--scratch", tmp_path, "-o", "json"), 4)["backups"]
    assert "rows and had" in row["reason"]
    assert "other rows" in row["reason"]


def test_text_of_every_kind_comes_back(own_server: Server, tmp_path: Path) -> None:
    """Bytes as stored, or converted where a column is not UTF-8 text: the same rows, structures and words either way."""
    nasty = "a'b\"c\\d\n(e),(f);\r\nUNLOCK TABLES;\x00\x1a\t%s :y 世界🜚é"
    for database, column in (("cinder", "VARCHAR(9)"), ("placement", "VARCHAR(9) CHARACTER SET latin1"), ("glance", "VARBINARY(9)")):
        own_server.execute(
            f"USE {database}; CREATE TABLE `täble` (id INT PRIMARY KEY, `wörd` VARCHAR(90) NOT NULL, m MEDIUMTEXT, j JSON,"
            " e ENUM('é','ü\\'') DEFAULT 'é', n DECIMAL(9,3), f DOUBLE, t TIMESTAMP(3) NULL,"
            f" g VARCHAR(99) AS (CONCAT(`wörd`, 'ß')) STORED, c {column}, UNIQUE (`wörd`)) CHARACTER SET utf8mb4 COMMENT 'größe';"
            "INSERT INTO `täble` (id, `wörd`, m, j, e, n, f, t, c) VALUES"
            " (1, %s, REPEAT(%s, 999), '{\"é\": \"\\\\n(\"}', 'ü\\'', -0.5, 1e-9, '2024-02-29 12:00:00.125', 'é'),"
            " (2, '', NULL, '[]', 'é', 1, NULL, NULL, x'7f27');"
            "CREATE VIEW `sicht` AS SELECT `wörd` FROM `täble` WHERE `wörd` <> 'ü'", nasty, nasty,
        )
    here = Backups(own_server, tmp_path / "backups")
    taken = here.take("--databases", "cinder,placement,glance")
    manifest = here.manifest(taken["backup"])
    names = {d["database"]: d["names"] for d in manifest["databases"]}
    assert names == {"cinder": "binary", "placement": "utf8mb4", "glance": "utf8mb4"}
    [glance] = [d for d in manifest["databases"] if d["database"] == "glance"]
    del glance["names"]  # which manifests had not when all was converted
    rewrite(here.root / taken["backup"] / "manifest.json", manifest)
    report(here.run("restore", "latest", *(a for d in names for a in ("--as", f"{d}={d}_back")), "-o", "json"))
    for database in names:
        assert own_server.checksums(f"{database}_back") == own_server.checksums(database)
        created = [own_server.execute(f"SHOW CREATE TABLE {d}.`täble`") for d in (database, f"{database}_back")]
        assert created[0] == created[1]
        assert own_server.execute(f"SELECT * FROM {database}_back.sicht") == own_server.execute(f"SELECT * FROM {database}.sicht")


def test_databases_come_back_under_other_names(taken: Backups) -> None:
    names = [f"{d}_back" for d in ("nova", "glance", "cinder")]
    pairs = [a for d in ("nova", "glance", "cinder") for a in ("--as", f"{d}={d}_back")]
    try:
        found = report(taken.run("restore", "latest", *pairs, "--jobs", "3", "-o", "json"))
        assert {(d["target"], d["result"]) for d in found["databases"]} == {(n, "restored") for n in names}
        for database in ("nova", "glance", "cinder"):
            assert taken.server.checksums(f"{database}_back") == taken.server.checksums(database)
        kinds = taken.server.execute(
            "SELECT 'r' AS k FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA='glance_back' UNION ALL"
            " SELECT 't' FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA='glance_back' UNION ALL"
            " SELECT 'e' FROM information_schema.EVENTS WHERE EVENT_SCHEMA='glance_back' UNION ALL"
            " SELECT 'v' FROM information_schema.VIEWS WHERE TABLE_SCHEMA='glance_back'"
        )
        assert sorted(k["k"] for k in kinds) == ["e", "r", "t", "v"]
        again = report(taken.run("restore", "latest", *pairs, "-o", "json"))
        assert {d["result"] for d in again["databases"]} == {"skipped"}
    finally:
        for name in names:
            taken.server.execute(f"DROP DATABASE IF EXISTS {name}")


def test_one_table_comes_back(taken: Backups) -> None:
    try:
        report(taken.run("restore", "latest", "--table", "nova.instances", "--table", "nova.services", "--as", "nova=look", "-o", "json"))
        assert taken.server.tables("look") == ["instances", "services"]
        assert taken.server.rows("look")["instances"] == 2000
        assert taken.server.checksums("look")["instances"] == taken.server.checksums("nova")["instances"]
    finally:
        taken.server.execute("DROP DATABASE IF EXISTS look")


@pytest.mark.parametrize("rows", ["many-per-insert", "one-per-line"])
def test_what_a_backup_knew_of_a_server(backups: Backups, rows: str) -> None:
    [wanted] = backups.server.execute("SELECT * FROM nova.instances WHERE id = 17")
    backups.take("--databases", "nova", "--rows", rows)
    done = backups.run("restore", "latest", "--where-instance", wanted["uuid"])
    assert done.code == 0, done.err
    backups.server.execute("CREATE DATABASE then_; CREATE TABLE then_.instances LIKE nova.instances")
    try:
        [line] = [x for x in done.out.splitlines() if x.startswith("INSERT INTO `nova`.`instances` ")]
        backups.server.execute(line.replace("`nova`.", "`then_`."))
        assert backups.server.execute("SELECT * FROM then_.instances") == [wanted]
    finally:
        backups.server.execute("DROP DATABASE then_")
    assert backups.run("restore", "latest", "--where-instance", "nobody").code == 4


@pytest.mark.parametrize(
    "arguments",
    [["--as", "nova"], ["--as", "novva=x"], ["--table", "instances"], ["--table", "nova.none"], ["--database", "none"],
     ["--as", "nova=x", "--as", "cinder=x"], ["--database", "mysql"], ["--as", "mysql=sys"]],
)  # fmt: skip
def test_what_cannot_be_meant(taken: Backups, arguments: list[str]) -> None:
    done = taken.run("restore", "latest", *arguments)
    assert done.code == 2, done.err
    assert done.err


def test_live_databases_are_not_overwritten(taken: Backups, own_server: Server) -> None:
    """Refused for being there; with --overwrite, for a fresh heartbeat, then for an open session; then it is done."""
    own = {f"OPSFIX_DATABASE_{d.upper()}": own_server.url(d) for d in SERVICES if d != "nova_cell0"}
    command = ("restore", "latest", "--database", "nova", "-o", "json")
    before = own_server.checksums("nova")
    own_server.execute("DELETE FROM nova.instances WHERE id = 3; CREATE TABLE nova.later (id INT)")
    [row] = report(taken.run(*command, **own), 5)["databases"]
    assert "exists and has" in row["reason"]

    own_server.execute(
        "INSERT INTO nova.services (host, `binary`, topic, report_count, last_seen_up, deleted, version)"
        " VALUES ('c', 'x', 'x', 1, UTC_TIMESTAMP(), 0, 1)"
    )
    [row] = report(taken.run(*command, "--overwrite", **own), 5)["databases"]
    assert "a service of nova reported" in row["reason"]

    own_server.execute("UPDATE nova.services SET last_seen_up = '2020-01-01'")
    blind = own | {"OPSFIX_DATABASE_NOVA": own_server.url("nova", "nova", "own")}
    [row] = report(taken.run(*command, "--overwrite", **blind), 5)["databases"]
    assert "cannot see whether others use nova" in row["reason"]

    with own_server.connect() as session, session.cursor() as cursor:
        cursor.execute("USE nova")
        [row] = report(taken.run(*command, "--overwrite", **own), 5)["databases"]
        assert "1 sessions use it" in row["reason"]
    wait_until(lambda: not own_server.execute("SELECT 1 FROM information_schema.PROCESSLIST WHERE DB = 'nova'"), 10, "the session ended")

    assert report(taken.run(*command, "--overwrite", "--dry-run", **own), 3)["databases"][0]["result"] == "pending"
    assert "later" in own_server.tables("nova")
    assert report(taken.run(*command, "--overwrite", **own))["databases"][0]["result"] == "restored"
    assert own_server.checksums("nova") == before


def test_another_server_is_named_by_an_option_file(taken: Backups, own_server: Server, tmp_path: Path) -> None:
    quoted = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
    file = tmp_path / "standby.cnf"
    file.write_text(f'[client]\nhost = 127.0.0.1\nport = {own_server.port}\nuser = opsfix\npassword = "{quoted}"\n')
    own_server.execute("DROP DATABASE placement")
    report(taken.run("restore", "latest", "--defaults-file", file, "--database", "placement", "-o", "json"))
    assert own_server.checksums("placement") == taken.server.checksums("placement")


def test_a_restore_that_was_killed_goes_on(taken: Backups, own_server: Server) -> None:
    """The databases that were finished are skipped, the one in the middle is loaded anew without --overwrite."""
    own = {f"OPSFIX_DATABASE_{d.upper()}": own_server.url(d) for d in SERVICES if d != "nova_cell0"}
    environ = taken.server.environ(OPSFIX_STATE_DIR=str(own_server.datadir / "restores"), **own)
    pairs = [a for d in ("placement", "nova", "neutron") for a in ("--as", f"{d}={d}_2")]
    command = [OPSFIX, "db", "restore", "--dir", str(taken.root), "latest", *pairs, "--jobs", "1", "-o", "json"]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: _tables(own_server, "neutron_2") or _tables(own_server, "nova_2") > 20, 60, "a database is half loaded")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {d["result"] for d in json.loads(done.stdout)["databases"]} <= {"restored", "skipped"}
    for database in ("placement", "nova", "neutron"):
        assert own_server.checksums(f"{database}_2") == own_server.checksums(database)


def _tables(server: Server, database: str) -> int:
    return len(server.tables(database))
