"""Whatever happens in the middle, nothing is left that looks good, and no good backup goes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.backup.conftest import Backups
from tests.backup.server import OPSFIX, Server, opsfix, wait_until
from tests.kills import HEARING

UNSHARE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]


@pytest.fixture
def big(own_server: Server) -> Server:
    """A server whose dumps take a second or two, and do not compress."""
    own_server.execute(
        "CREATE TABLE nova.big (id INT PRIMARY KEY, b BLOB);"
        "INSERT INTO nova.big SELECT seq, RANDOM_BYTES(1000) FROM nova.seq_1_to_40000"
    )
    return own_server


def started(here: Backups, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*HEARING, OPSFIX, "db", "backup", "--dir", str(here.root), "--keep", "1", *arguments], env=here.server.environ(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )


def at_work(here: Backups) -> bool:
    """Whether a dump is being written."""
    return any(p.stat().st_size > 0 for p in here.root.glob(".*.part/nova.sql.zst")) if here.root.exists() else False


def dumps_alive(here: Backups) -> list[str]:
    """Dump programs that still run on the server of these backups."""
    rows = here.server.execute("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'opsfix'")
    return [str(r["ID"]) for r in rows]


def test_a_server_that_is_killed_in_the_middle(big: Server, backups: Backups) -> None:
    here = Backups(big, backups.root)
    good = here.take("--keep", "1")["backup"]
    process = started(here)
    wait_until(lambda: at_work(here), 60, "a dump is being written")
    big.kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 4, err
    assert "the dump of" in err
    assert here.names() == [good]
    assert here.rubbish() == []


def test_killed_at_ten_moments(big: Server, backups: Backups) -> None:
    """SIGKILL leaves a dotted directory at most; the next run takes it away; the good one stays until another is good."""
    here = Backups(big, backups.root)
    began = time.monotonic()
    good = here.take("--keep", "1")["backup"]
    whole = time.monotonic() - began
    for moment in range(10):
        process = started(here)
        time.sleep(whole * (moment + 0.5) / 10)  # not a wait for something: the moment is the test
        process.kill()
        process.communicate(timeout=60)
        assert [n for n in here.names() if n == good] or len(here.names()) == 1, moment
        assert opsfix("db", "list", "--dir", here.root, "-o", "value", environ=big.environ()).out.split()[1] == "good"
        assert big.execute("UPDATE cinder.volumes SET size = 1") == []
    wait_until(lambda: not dumps_alive(here), 30, "no dump is left on the server")
    last = here.take("--keep", "1")["backup"]
    assert here.names() == [last]
    assert here.rubbish() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_asked_to_end_it_cleans_up(big: Server, backups: Backups, number: int) -> None:
    here = Backups(big, backups.root)
    process = started(here)
    wait_until(lambda: at_work(here), 60, "a dump is being written")
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert here.names() == []
    assert here.rubbish() == []
    wait_until(lambda: not dumps_alive(here), 30, "no dump is left on the server")


def test_two_at_once_on_one_directory(big: Server, backups: Backups) -> None:
    here = Backups(big, backups.root)
    both = [started(here), started(here)]
    codes = sorted(p.wait(120) for p in both)
    for process in both:
        process.communicate()
    assert codes == [0, 8]
    assert len(here.names()) == 1


def on_small_disk(server: Server, mount: Path, megabytes: int, *steps: str) -> tuple[int, str, list[str]]:
    """Run steps on a disk of their own; the last one's exit status, what was said, and what backups there are."""
    mount.mkdir()
    script = ["set -e", f"mount -t tmpfs -o size={megabytes}m tmpfs {mount}", *steps[:-1], "set +e", f"{steps[-1]}; code=$?"]
    done = subprocess.run(
        [*UNSHARE, "sh", "-c", "\n".join([*script, f"ls -A {mount}/b; exit $code"])],
        env=server.environ(), capture_output=True, text=True, timeout=120, check=False,
    )
    return done.returncode, done.stderr, [line for line in done.stdout.splitlines() if line.startswith(("20", ".20"))]


@pytest.mark.parametrize("megabytes", [1, 18])
def test_a_disk_that_is_too_small_is_known_before(big: Server, tmp_path: Path, megabytes: int) -> None:
    disk = tmp_path / "disk"
    small = [f"{OPSFIX} db backup --dir {disk}/b --databases cinder -o json >{disk}/report"] if megabytes > 1 else []
    code, said, left = on_small_disk(big, disk, megabytes, *small, f"{OPSFIX} db backup --dir {disk}/b --keep 1")
    assert code == 4, said
    assert "will need about" in said
    assert [name.startswith(".") for name in left] == [False] * len(small)


def test_a_disk_that_is_full_in_the_middle(own_server: Server, tmp_path: Path) -> None:
    """The estimate is that of the last backup, and the table has grown since; the backup that was there stays."""
    disk = tmp_path / "disk"
    own_server.execute("CREATE TABLE nova.big (id INT PRIMARY KEY, b BLOB)")
    grow = "INSERT INTO nova.big SELECT seq, RANDOM_BYTES(1000) FROM nova.seq_1_to_40000"
    backup = f"{OPSFIX} db backup --dir {disk}/b --keep 1"
    code, said, left = on_small_disk(
        own_server, disk, 28, f"{backup} >{disk}/report", f"mariadb --no-defaults -S {own_server.socket} -e '{grow}'", backup
    )
    assert code == 4, said
    assert "No space left on device" in said
    assert [name.startswith(".") for name in left] == [False]


def test_a_dump_program_that_fails_halfway_or_lies(backups: Backups, tmp_path: Path) -> None:
    """A program that exits 0 without its mark at the end, or with it and another exit status, has made no dump."""
    real = shutil.which("mariadb-dump")
    for script, said in (
        (f'case "$1" in --version) exec {real} --version;; esac\n{real} "$@" | head -c 5000', "no mark of its end"),
        (f'case "$1" in --version) exec {real} --version;; esac\n{real} "$@"; exit 3', "exit status 3"),
    ):
        fake = tmp_path / "bin" / "mariadb-dump"
        fake.parent.mkdir(exist_ok=True)
        fake.write_text(f"#!/bin/bash\n{script}\n")
        fake.chmod(0o755)
        done = backups.run("backup", PATH=f"{fake.parent}:/usr/bin:/bin")
        assert done.code == 4, done.err
        assert said in done.err
        assert backups.names() == []
        assert backups.rubbish() == []


def test_nothing_goes_when_the_night_fails(backups: Backups) -> None:
    names = [backups.take("--databases", "placement")["backup"] for _ in range(3)]
    done = backups.run("backup", "--keep", "1", OPSFIX_DATABASE_NOVA=backups.server.url("nova", password="x"))
    assert done.code == 7
    assert backups.names() == sorted(names)
    report = backups.take("--databases", "placement", "--keep", "2")
    assert backups.names() == sorted([names[2], report["backup"]])
    assert {b["decision"] for b in report["backups"]} == {"keep", "remove"}


def test_a_damaged_one_is_not_counted(backups: Backups) -> None:
    old, newer = (backups.take("--databases", "placement")["backup"] for _ in range(2))
    path = backups.root / newer / "placement.sql.zst"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    report = backups.take("--databases", "placement", "--keep", "2")
    assert backups.names() == sorted([old, newer, report["backup"]])
    [told] = [b for b in report["backups"] if b["backup"] == newer]
    assert "damaged" in told["reason"]
