"""A MariaDB server of a test's own: the six services' databases in their real schemas, and it may be killed."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import DictCursor

from tests.sql import schema

OPSFIX = str(Path(sys.executable).parent / "opsfix")
RELEASE = "2026.1"
#: What an option file, a URL and a shell each give a meaning to.
PASSWORD = "p'a\"s$s\\w#o;r%d @:/ß"
SERVICES = {
    "nova_api": "nova_api", "nova": "nova", "nova_cell0": "nova", "cinder": "cinder", "glance": "glance", "neutron": "neutron",
    "placement": "placement",
}
CELL0, CELL1 = "00000000-0000-0000-0000-000000000000", "11111111-1111-1111-1111-111111111111"
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
_OPTIONS = [
    "--bind-address=127.0.0.1", "--skip-name-resolve", "--default-time-zone=+05:45", "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync", "--innodb-doublewrite=OFF", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M",
    "--performance-schema=OFF", "--log-bin=binlog", "--innodb-file-per-table=OFF",
]


def wait_until(holds: Callable[[], Any], seconds: float, what: str) -> None:
    """Wait for a condition; fail by name when it does not come."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


@dataclass(frozen=True)
class Ran:
    """A finished run of opsfix."""

    code: int
    out: str
    err: str


class Server:
    """A running server on a port of its own; root and opsfix have PASSWORD, each service has its own account."""

    def __init__(self, datadir: Path, *options: str):
        self.datadir, self.socket = datadir, datadir / "s"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._options = [*_OPTIONS, *options]
        self.start()

    def start(self) -> None:
        """Start it on its data."""
        program = shutil.which("mariadbd", path=_PATH)
        assert program
        self.process = subprocess.Popen(
            [program, "--no-defaults", f"--datadir={self.datadir}", f"--socket={self.socket}", f"--port={self.port}",
             *(["--user=root"] if os.geteuid() == 0 else []), *self._options],
            stdout=subprocess.DEVNULL, stderr=(self.datadir / "log").open("ab"),
        )  # fmt: skip
        wait_until(self._answers, 60, f"the server on {self.datadir} answers")

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.datadir / "log").read_text()[-2000:]
        try:
            pymysql.connect(unix_socket=str(self.socket), user=_superuser()).close()
        except pymysql.MySQLError:
            return False
        return True

    def kill(self) -> None:
        """As a loss of power."""
        self.process.kill()
        self.process.wait()

    def connect(self) -> Any:
        """A connection that may do everything."""
        return pymysql.connect(
            unix_socket=str(self.socket), user=_superuser(), charset="utf8mb4", autocommit=True, cursorclass=DictCursor,
            client_flag=CLIENT.MULTI_STATEMENTS,
        )

    def execute(self, text: str, *values: Any) -> list[dict[str, Any]]:
        """Run statements; the rows of the last."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(text, values or None)
            rows = cursor.fetchall()
            while cursor.nextset():
                rows = cursor.fetchall()
            return list(rows)

    def url(self, database: str, user: str = "opsfix", password: str = PASSWORD) -> str:
        """A URL as the services' files have it."""
        return f"mysql+pymysql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def environ(self, **more: str) -> dict[str, str]:
        """What a cron job knows: no HOME, a short PATH; and the databases."""
        databases = {f"OPSFIX_DATABASE_{d.upper()}": self.url(d) for d in SERVICES if d != "nova_cell0"}
        return {"PATH": "/usr/bin:/bin", "OPSFIX_STATE_DIR": str(self.datadir / "state"), **databases, **more}

    def rows(self, database: str) -> dict[str, int]:
        """Every table of a database and how many rows it has."""
        tables = self.tables(database)
        counts = [f"SELECT %s AS t, COUNT(*) AS n FROM {self._quoted(database, t)}" for t in tables]
        return {r["t"]: r["n"] for r in self.execute(" UNION ALL ".join(counts), *tables)} if tables else {}

    def checksums(self, database: str) -> dict[str, int]:
        """Every table of a database and the server's checksum of it."""
        listed = ", ".join(self._quoted(database, t) for t in self.tables(database))
        return {r["Table"].partition(".")[2]: r["Checksum"] for r in self.execute(f"CHECKSUM TABLE {listed}")}

    def tables(self, database: str) -> list[str]:
        """The tables of a database, views left out."""
        rows = self.execute(
            "SELECT TABLE_NAME AS n FROM information_schema.TABLES WHERE TABLE_SCHEMA=%s AND TABLE_TYPE='BASE TABLE'", database
        )
        return sorted(r["n"] for r in rows)

    def _quoted(self, *names: str) -> str:
        return ".".join("`{}`".format(name.replace("`", "``")) for name in names)


def opsfix(*arguments: object, environ: Mapping[str, str], timeout: float = 120, prefix: Sequence[str] = ()) -> Ran:
    """Run opsfix as cron does: no terminal, nothing on stdin."""
    done = subprocess.run(
        [*prefix, OPSFIX, *map(str, arguments)], env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=timeout, check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


def make_template(place: Path) -> Path:
    """A data directory with the services' databases, a few rows in each, made once and copied for every server."""
    data = place / "template"
    install = Path(schema.__file__).with_name("install-db")
    subprocess.run(
        [install, f"--datadir={data}", "--skip-test-db", *(["--user=root"] if os.geteuid() == 0 else [])],
        check=True, capture_output=True,
    )
    server = Server(data)
    try:
        for database, service in SERVICES.items():
            text = schema.statements(RELEASE, service)
            server.execute(f"CREATE DATABASE `{database}` CHARACTER SET utf8mb3; USE `{database}`; {';'.join(text)}")
        _accounts(server)
        _rows(server)
        server.execute("SHUTDOWN")
        server.process.wait(60)
    finally:
        server.kill()
    return data


def _accounts(server: Server) -> None:
    quoted = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
    server.execute(f"CREATE USER opsfix@'127.0.0.1' IDENTIFIED BY '{quoted}'; GRANT ALL ON *.* TO opsfix@'127.0.0.1'")
    for database in SERVICES:
        server.execute(f"CREATE USER {database}@'127.0.0.1' IDENTIFIED BY 'own'; GRANT ALL ON `{database}`.* TO {database}@'127.0.0.1'")


def _rows(server: Server) -> None:
    """Cells, as placeholders for the port to come, and rows with everything that text and binary may hold."""
    for uuid, name, database in ((CELL0, "cell0", "nova_cell0"), (CELL1, "cell1", "nova")):
        template = "{scheme}://{username}:{password}@{hostname}:{port}/" + database
        server.execute(
            "INSERT INTO nova_api.cell_mappings (uuid, name, transport_url, database_connection, disabled) VALUES (%s,%s,'x',%s,0)",
            uuid, name, template,
        )
    nasty = "a'b\"c\\d\n(e),(f);\nUNLOCK TABLES;\n-- Dump completed on `x` %s :y\x00\x1a\t世界🜚"
    server.execute(
        "INSERT INTO nova.instances (uuid, display_name, display_description, user_data, deleted)"
        " SELECT UUID(), CONCAT(%s, seq), %s, REPEAT('x', 3000), 0 FROM nova.seq_1_to_2000", nasty[:60], nasty.replace("🜚", ""),
    )
    server.execute(
        "USE glance; CREATE TABLE `odd ``name` (id INT PRIMARY KEY, b BLOB, f DOUBLE, t TIMESTAMP NULL, j JSON, g INT AS (id * 2) STORED)"
        " CHARACTER SET utf8mb4;"
        "INSERT INTO `odd ``name` (id, b, f, t, j) VALUES (1, x'00ff0a2729285c', 0.1, '2024-02-29 12:00:00', '{\"a\": \"\\\\n(\"}'),"
        " (2, '🜚', NULL, NULL, NULL);"
        "CREATE VIEW v AS SELECT id FROM `odd ``name`;"
        "CREATE PROCEDURE p() SELECT 'a\n(b)';"
        "CREATE TRIGGER r BEFORE INSERT ON `odd ``name` FOR EACH ROW SET NEW.f = 1;"
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM `odd ``name` WHERE id > 100"
    )
    for database in ("bank_a", "bank_b"):
        server.execute(f"CREATE DATABASE {database}")


@contextmanager
def running(template: Path, place: Path, *options: str) -> Iterator[Server]:
    """A server on a copy of the template, ended in the end."""
    datadir = place / "data"
    shutil.copytree(template, datadir)
    server = Server(datadir, *options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.send_signal(signal.SIGCONT)
        server.kill()
        shutil.rmtree(datadir, ignore_errors=True)


def _superuser() -> str:
    return getpass.getuser()
