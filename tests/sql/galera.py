"""A Galera cluster of three nodes on loopback, whose nodes can be killed, cut off and brought back."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pymysql
from pymysql.cursors import DictCursor

from tests.backup.server import wait_until
from tests.sql.server import MariaDB, Row

PROVIDER = "/usr/lib/galera/libgalera_smm.so"
USER, PASSWORD = "opsfix_test", "of-the-cluster"
#: A node that is gone is noticed within two seconds instead of fifteen; one that lags stops the others at once.
PROVIDER_OPTIONS = (
    "evs.keepalive_period=PT0.2S;evs.inactive_check_period=PT0.2S;evs.suspect_timeout=PT1S;evs.inactive_timeout=PT2S;"
    "evs.install_timeout=PT2S;evs.join_retrans_period=PT0.2S;pc.announce_timeout=PT1S;pc.recovery=false;"
    "gcs.fc_limit=1;gcs.fc_factor=0.5;gcache.size=32M"
)
_OPTIONS = (
    "--bind-address=127.0.0.1", "--skip-name-resolve", "--default-time-zone=+05:45", "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync", "--innodb-doublewrite=OFF", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M",
    "--performance-schema=OFF", "--innodb-file-per-table=OFF", "--binlog-format=ROW", "--innodb-autoinc-lock-mode=2",
    "--wsrep-on=ON", "--wsrep-sync-wait=1", f"--wsrep-provider={PROVIDER}",
)  # fmt: skip
#: wsrep_sst_position is here.
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:{Path(__file__).parent}"
_AS_ROOT = ["--user=root"] if os.geteuid() == 0 else []


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, each another one."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Node:
    """One node on a data directory of its own."""

    def __init__(self, datadir: Path, number: int, cluster: list[int]):
        self.datadir, self.number, self.socket = datadir, number, datadir / "s"
        self._cluster, self._at = cluster, cluster[number]
        self.port, self._increments, self._transfers = free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, first: bool = False) -> None:
        """Begin the cluster, or join it: what is missing comes from another node's cache.

        On a busy machine a node that joins may be given up by the others, with these short time-outs, and then waits for
        ever: it is started once more, as an operator would.
        """
        self.begin(first=first)
        try:
            self.synced(60 if first else 20)
        except AssertionError:
            self.kill()
            self.begin(first=first)
            self.synced()

    def begin(self, *, first: bool) -> None:
        """As start, without waiting."""
        position = [] if first else self._position()
        address = "gcomm://" if first else "gcomm://" + ",".join(f"127.0.0.1:{port}" for port in self._cluster)
        self._process = subprocess.Popen(
            [*self._command(), f"--wsrep-cluster-address={address}", *(["--wsrep-new-cluster"] if first else []),
             f"--wsrep-node-address=127.0.0.1:{self._at}", f"--wsrep-node-incoming-address=127.0.0.1:{self.port}",
             "--wsrep-sst-method=position", f"--wsrep-sst-receive-address=127.0.0.1:{self._transfers}",
             f"--wsrep-provider-options=base_host=127.0.0.1;base_port={self._at};gmcast.listen_addr=tcp://127.0.0.1:{self._at};"
             f"ist.recv_addr=127.0.0.1:{self._increments};{PROVIDER_OPTIONS}", *position],
            stdout=subprocess.DEVNULL, stderr=(self.datadir / "log").open("ab"), env=os.environ | {"PATH": _PATH},
        )  # fmt: skip

    def _command(self) -> list[str]:
        program = shutil.which("mariadbd", path=_PATH)
        assert program
        return [program, "--no-defaults", f"--datadir={self.datadir}", f"--socket={self.socket}", f"--port={self.port}", *_AS_ROOT,
                *_OPTIONS]  # fmt: skip

    def _position(self) -> list[str]:
        """Where the node's own data stands, as galera_recovery finds it after a crash."""
        command = [*self._command(), "--wsrep-recover", "--wsrep-cluster-address=gcomm://"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.findall(r"Recovered position:\s*(\S+)", done.stderr)
        assert found, done.stderr
        return [f"--wsrep-start-position={found[-1]}"]

    def synced(self, seconds: float = 60) -> None:
        """Wait until the node takes part in a cluster."""
        wait_until(lambda: self.state == "Synced", seconds, f"node {self.number} is synced")

    @property
    def state(self) -> str:
        """What it says of itself, empty while it does not answer."""
        assert self._process is None or self._process.poll() is None, (self.datadir / "log").read_text()[-2000:]
        try:
            return self.status("wsrep_local_state_comment")
        except pymysql.MySQLError:
            return ""

    def status(self, name: str) -> str:
        """A status variable."""
        return str(self.execute("SHOW GLOBAL STATUS LIKE %s", name)[0]["Value"])

    def execute(self, text: str, *values: Any, database: str | None = None) -> list[Row]:
        """Run one statement as who may do everything, whatever state the node is in."""
        with self.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(text, values or None)
            return list(cursor.fetchall())

    def connect(self, database: str | None = None) -> Any:
        """A connection of the kind."""
        return pymysql.connect(
            unix_socket=str(self.socket), user=getpass.getuser(), database=database, charset="utf8mb4", autocommit=True,
            cursorclass=DictCursor, ssl_disabled=True,  # else each reads the system's certificates
        )

    def mariadb(self) -> MariaDB:
        """The node as the tests of SQL see a server."""
        return MariaDB("127.0.0.1", self.port, self.socket, USER, PASSWORD)

    def isolate(self, cut: bool) -> None:
        """Cut the node off from the others, or let it return."""
        self.execute(f"SET GLOBAL wsrep_provider_options = 'gmcast.isolate={int(cut)}'")

    def kill(self) -> None:
        """As a loss of power."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Shut it down in order."""
        with suppress(pymysql.MySQLError):
            self.execute("SHUTDOWN")
        assert self._process
        self._process.wait(60)
        self._process = None

    @property
    def down(self) -> bool:
        """Whether it was killed or stopped."""
        return self._process is None


@contextmanager
def cluster(place: Path) -> Iterator[list[Node]]:
    """Three nodes, Synced and Primary."""
    ports = free_ports(3)
    install = Path(__file__).with_name("install-db")
    subprocess.run([install, f"--datadir={place}/0", "--skip-test-db", *_AS_ROOT], check=True, capture_output=True)
    nodes = [Node(place / str(number), number, ports) for number in range(3)]
    first, *others = nodes
    try:
        first.start(first=True)
        for host in ("localhost", "127.0.0.1"):
            first.execute(f"CREATE USER {USER}@{host!r} IDENTIFIED BY '{PASSWORD}'")
            first.execute(f"GRANT ALL ON *.* TO {USER}@{host!r} WITH GRANT OPTION")
        first.stop()
        for node in others:  # with the same data nobody needs a state transfer
            shutil.copytree(first.datadir, node.datadir)
        first.start(first=True)
        for node in others:
            node.start()
        yield nodes
    finally:
        for node in nodes:
            node.kill()
