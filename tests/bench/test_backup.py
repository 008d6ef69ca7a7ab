"""A backup of a gigabyte in four databases: by opsfix, by the shell, and by mydumper where it is installed."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backup.server import Server, make_template, running
from tests.bench.measuring import OPSFIX, Measured, Report, alternately, measure, middle

MEGABYTES = int(os.environ.get("OPSFIX_BENCH_MEGABYTES", "1000"))
TIMES = int(os.environ.get("OPSFIX_BENCH_TIMES", "3"))
DATABASES = ("nova", "cinder", "neutron", "glance")
#: About what a gigabyte of these tables holds, a row being so many bytes of a dump.
TABLES = {
    "nova": ("instance_system_metadata", 130, 0.25), "cinder": ("volume_glance_metadata", 130, 0.25),
    "neutron": ("standardattributes", 130, 0.25), "glance": ("image_properties", 130, 0.25),
}
OPTIONS = (
    "--innodb-buffer-pool-size=2G", "--innodb-log-file-size=512M", "--max-connections=200",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with as much in the real schemas; filled once."""
    template = make_template(tmp_path_factory.mktemp("template"))
    with running(template, tmp_path_factory.mktemp("big"), *OPTIONS) as found:
        found.execute("DROP TABLE glance.`odd ``name`; DROP VIEW glance.v")  # at which mydumper fails
        for database, (table, size, part) in TABLES.items():
            fill(found, database, table, int(MEGABYTES * 1e6 * part / size))
        yield found


def fill(server: Server, database: str, table: str, count: int) -> None:
    """Rows like those of a cloud: ids that repeat, words that repeat, and times."""
    columns = server.execute(f"SHOW COLUMNS FROM {database}.{table}")
    names = [c["Field"] for c in columns if "auto_increment" not in c["Extra"]]
    values = ", ".join(_value(name, dict(next(c for c in columns if c["Field"] == name))) for name in names)
    quoted = ", ".join(f"`{n}`" for n in names)
    server.execute(
        "SET SESSION foreign_key_checks = 0, unique_checks = 0, sql_log_bin = 0;"
        f" INSERT INTO {database}.{table} ({quoted}) SELECT {values} FROM {database}.seq_1_to_{count} AS s"
    )


def _value(name: str, column: dict[str, str]) -> str:
    kind = column["Type"]
    if kind.startswith(("datetime", "timestamp")):
        return "'2026-11-21 02:10:00' - INTERVAL (s.seq MOD 100000) SECOND"
    if name.endswith(("_id", "uuid")) and "char" in kind:
        return "LEFT(CONCAT(MD5(s.seq DIV 8), '-', MD5(s.seq DIV 800)), 36)"
    if "int" in kind:
        return "0"
    if name in ("key", "name"):
        return "CONCAT('image_property_', s.seq)"
    return "LEFT(CONCAT('value of ', MD5(s.seq DIV 3), ' in a cloud'), 60)"


def shell_way(server: Server, place: Path) -> list[str]:
    """Serial dumps, one INSERT a row, then tar and gzip."""
    dump = f"mariadb-dump --no-defaults -S {server.socket} --single-transaction --skip-extended-insert"
    steps = [f"rm -rf {place} && mkdir {place}", *(f"{dump} {d} >{place}/{d}.sql" for d in DATABASES)]
    return ["sh", "-ec", " && ".join([*steps, f"tar czf {place}.tar.gz -C {place} .", f"rm -rf {place}"])]


def by_mydumper(server: Server, place: Path) -> list[str]:
    """Two threads, compressed."""
    only = "^(" + "|".join(f"{d}\\." for d in DATABASES) + ")"
    return ["mydumper", "-S", str(server.socket), "-t", "2", "-c", "-x", only, "-o", str(place)]


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a directory."""
    return path.stat().st_size if path.is_file() else sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


@pytest.mark.timeout(3000)
def test_a_gigabyte(server: Server, report: Report, tmp_path: Path) -> None:
    """Wall time, size, memory, how long commits waited; then the way back."""
    root = tmp_path / "backups"
    command = [OPSFIX, "db", "backup", "--dir", str(root), "--databases", ",".join(DATABASES), "--keep", "2", "-o", "json"]
    environ = {k: v for k, v in server.environ().items() if "DATABASE" not in k or k.rpartition("_")[2].lower() in DATABASES}

    def opsfix() -> Measured:
        return measure(command, environ)

    def shell() -> Measured:
        return measure(shell_way(server, tmp_path / "shell"))

    def mydumper() -> Measured:
        shutil.rmtree(tmp_path / "mydumper", ignore_errors=True)
        return measure(by_mydumper(server, tmp_path / "mydumper"))

    runs = [opsfix, shell, *([mydumper] if shutil.which("mydumper") else [])]
    ours, theirs, *others = alternately(TIMES, *runs)
    last = json.loads(ours[-1].out)
    dumped = sum(d["dump_bytes"] for d in last["databases"])
    held = [json.loads(m.out)["servers"][0]["held_seconds"] for m in ours]
    report.title(f"A backup of {dumped / 1e6:.0f} MB in {len(DATABASES)} databases, two at a time, median of {TIMES}")
    report.figure("opsfix", middle(ours), " s")
    report.figure("serial dumps, tar, gzip", middle(theirs), " s")
    report.figure("opsfix : shell", middle(ours) / middle(theirs), most=0.5)
    if others:
        report.figure("mydumper, compressed", middle(others[0]), " s")
        report.figure("opsfix : mydumper", middle(ours) / middle(others[0]), most=0.75)
        report.figure("size, opsfix : mydumper", last["bytes"] / size_of(tmp_path / "mydumper"), most=1)
    report.figure("size, opsfix : shell", last["bytes"] / size_of(tmp_path / "shell.tar.gz"), most=1)
    report.figure("CPU of opsfix and its dumps", middle(ours, lambda m: m.user + m.system), " s")
    report.figure("peak memory of opsfix", middle(ours, lambda m: m.peak), " MiB", digits=0, most=100)
    report.figure("commits held back", max(held) * 1000, " ms", digits=0, most=50)
    restored(server, report, root, environ)


def restored(server: Server, report: Report, root: Path, environ: dict[str, str]) -> None:
    """One database back, against its dump piped into the client."""
    [newest] = sorted(p for p in root.iterdir() if not p.name.startswith("."))[-1:]
    client = f"mariadb --no-defaults -S {server.socket}"
    pipe = " && ".join(
        f"{client} -e 'CREATE OR REPLACE DATABASE piped_{d}' && zstd -dc {newest}/{d}.sql.zst | {client} piped_{d}" for d in DATABASES
    )
    piped = measure(["sh", "-ec", pipe])
    pairs = [a for d in DATABASES for a in ("--as", f"{d}=back_{d}")]
    back = measure([OPSFIX, "db", "restore", "--dir", str(root), newest.name, *pairs, "-o", "json"], environ)
    report.title("The same four databases put back")
    report.figure("zstd piped into the client, one after the other", piped.wall, " s")
    report.figure("opsfix, two at a time, each read back and compared", back.wall, " s")
    report.figure("opsfix : pipe", back.wall / piped.wall, most=1)


@pytest.mark.timeout(600)
def test_commits_wait_for_milliseconds(server: Server, report: Report, tmp_path: Path) -> None:
    """The longest that a small write waited while backups were taken."""
    server.execute("CREATE DATABASE pulse; CREATE TABLE pulse.p (id INT PRIMARY KEY, n INT); INSERT INTO pulse.p VALUES (1, 0)")
    waits: list[float] = []
    done = threading.Event()

    def write() -> None:
        with server.connect() as connection, connection.cursor() as cursor:
            while not done.is_set():
                began = time.monotonic()
                cursor.execute("UPDATE pulse.p SET n = n + 1")
                waits.append(time.monotonic() - began)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        measure([OPSFIX, "db", "backup", "--dir", str(tmp_path / "b"), "--databases", "placement,nova_api"], server.environ())
    finally:
        done.set()
        thread.join()
    report.title("Writes beside a backup")
    report.figure("the longest wait of a write", max(waits) * 1000, " ms", digits=0)
    report.figure("the median", sorted(waits)[len(waits) // 2] * 1000, " ms", digits=1)
