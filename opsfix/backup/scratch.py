"""A server for one check: private, on a temporary directory, gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from opsfix.backup import programs
from opsfix.errors import BackupError, ConfigError
from opsfix.gateways.servers import Account, Server

#: What a loaded database takes on the disk for each byte of its dump, and a server without any.
ROOM, EMPTY = 2.0, 400 << 20
_START = 60.0
_OPTIONS = (
    "--skip-networking", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF",
    "--innodb-buffer-pool-size=128M", "--innodb-log-file-size=128M", "--performance-schema=OFF", "--max-allowed-packet=1G",
    "--event-scheduler=OFF", "--character-set-server=utf8mb4",
)  # fmt: skip


@contextmanager
def scratch(base: Path, dump_bytes: int, variables: Mapping[str, str]) -> Iterator[Account]:
    """A running MariaDB without network; whoever may enter its directory is root there, and that is only its owner.

    ``variables`` are those of the server that the backup is of. Raises BackupError when there is no room or it does not
    start.
    """
    free = shutil.disk_usage(base).free
    needed = int(dump_bytes * ROOM) + EMPTY
    if free < needed:
        raise BackupError(
            f"the disk of {base} is full: {free / 1e6:.0f} MB are free, the check needs about {needed / 1e6:.0f} MB: name another"
            " directory with --scratch"
        )
    with tempfile.TemporaryDirectory(prefix="opsfix-verify-", dir=base) as place:
        process = _start(Path(place), variables)
        try:
            account = Account("localhost", 3306, "root", "", f"{place}/s")
            _await(process, account, Path(place) / "log")
            yield account
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def _start(place: Path, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    server = programs.program("server")
    owner = ["--user=root"] if os.geteuid() == 0 else []
    install = [programs.program("install"), "--no-defaults", f"--datadir={place}/data", "--skip-test-db",
               "--auth-root-authentication-method=normal", "--skip-name-resolve", "--force", *owner]
    done = subprocess.run(install, env=programs.environment(), capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise BackupError(f"no scratch server could be made: {' '.join((done.stderr or done.stdout).split())[-300:]}")
    names = variables.get("lower_case_table_names", "0")
    with (place / "log").open("wb") as log:  # the kernel ends the server when we are killed
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", server, "--no-defaults", f"--datadir={place}/data",
             f"--socket={place}/s", f"--pid-file={place}/pid", f"--lower-case-table-names={names}", *owner, *_OPTIONS],
            env=programs.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def _await(process: subprocess.Popen[bytes], account: Account, log: Path) -> None:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            Server(account).dispose()
            return
        except ConfigError:
            time.sleep(0.05)
    last = log.read_text(errors="replace").strip().splitlines()[-1:]
    raise BackupError(f"the scratch server did not start: {' '.join(last)}")
