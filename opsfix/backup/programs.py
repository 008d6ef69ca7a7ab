"""The servers' own programs: where they are, what they are told, and how a password reaches them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from opsfix.errors import ConfigError
from opsfix.gateways.servers import Account

#: cron's PATH is short, and servers are in sbin.
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
_NAMES = {
    "dump": ("mariadb-dump", "mysqldump"),
    "client": ("mariadb", "mysql"),
    "server": ("mariadbd", "mysqld"),
    "install": ("mariadb-install-db", "mysql_install_db"),
}
#: Statistics of the server about its tables: not data, and rewritten at any time.
NO_DATA = ("mysql.innodb_index_stats", "mysql.innodb_table_stats")
#: Types whose values MariaDB takes back from the very bytes that it stores: text, numbers and times. The dump of a database
#: of nothing else need not look at each character, and takes half the time. Others (BLOB, BIT, UUID, INET6) are not among
#: them: their bytes would be no text, or be read as another value. As for text, its bytes have to be UTF-8 already.
AS_STORED = frozenset({
    "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "date", "time", "datetime", "timestamp",
    "year", "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set",
})
UTF_8 = frozenset({"", "ascii", "utf8", "utf8mb3", "utf8mb4"})
#: How a dump speaks to the server: the character set of the connection, "binary" for bytes as they are stored.
CONVERTED, STORED = "utf8mb4", "binary"
#: A program that writes into a pipe does so in pieces of 4 KiB, each of which wakes the reader; so it is given more room.
_ROOM = "-o1M"


def environment() -> dict[str, str]:
    """All that a program gets to know of ours: no URL with a password is in it."""
    return {"PATH": f"{os.environ.get('PATH', '')}:{_PATH}", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def program(kind: str, *, mariadb: bool = True) -> str:
    """The path of a program for a kind of server; raises ConfigError when there is none."""
    names = _NAMES[kind] if mariadb else _NAMES[kind][::-1]
    for name in names:
        found = shutil.which(name, path=environment()["PATH"])
        if found:
            return found
    raise ConfigError(f"there is no {names[0]} on this host: install the package of the database's clients (mariadb-client)")


def version(path: str) -> str:
    """What a program calls itself, in one line."""
    done = subprocess.run([path, "--version"], env=environment(), capture_output=True, text=True, check=False, timeout=30)
    return " ".join(done.stdout.split()).removeprefix(path).strip()


@cache
def is_of_mariadb(path: str) -> bool:
    """Whether the program is MariaDB's own, by its version."""
    return "mariadb" in version(path).lower()


def option_text(account: Account) -> bytes:
    """An option file for the account, for a pipe and never for a disk."""
    lines = [("user", account.user), ("password", account.password)]
    lines += [("socket", account.socket)] if account.socket else [("host", account.host), ("port", str(account.port))]
    lines += [] if account.socket else [("protocol", "tcp")]
    text = "".join(f"{name}={_quoted(value)}\n" for name, value in [*lines, *account.options])
    return f"[client]\n{text}".encode()


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return f'"{escaped}"'


def roomy(command: Sequence[str]) -> list[str]:
    """The command with more room for its output, where the host has the program that gives it (coreutils)."""
    stdbuf = shutil.which("stdbuf", path=environment()["PATH"])
    return [stdbuf, _ROOM, *command] if stdbuf else [*command]


def names_for(path: str, columns: Iterable[tuple[str, str]], *, mariadb: bool) -> str:
    """CONVERTED, or STORED where every column's type and character set ("" for none) allow it.

    Server and program have to be MariaDB's: MySQL's JSON takes no bytes.
    """
    plain = all(kind in AS_STORED and charset in UTF_8 for kind, charset in columns)
    return STORED if plain and mariadb and is_of_mariadb(path) else CONVERTED


def dump_arguments(
    path: str, database: str, *, one_a_line: bool = False, tables: Iterable[str] = (), names: str = CONVERTED
) -> list[str]:
    """The options after that of the option file; the same ones make the same text of the same rows."""
    arguments = [
        "--single-transaction", "--quick", "--skip-lock-tables", "--add-locks", "--comments", "--dump-date",
        "--no-tablespaces", f"--default-character-set={names}", "--skip-hex-blob" if names == STORED else "--hex-blob",
        "--net-buffer-length=1046528", "--max-allowed-packet=1G", "--verbose",
        "--skip-extended-insert" if one_a_line else "--extended-insert",
    ]
    if database != "mysql":  # whose tables hold every database's
        arguments += ["--routines", "--events", "--triggers"]
    if not is_of_mariadb(path):
        arguments += ["--set-gtid-purged=OFF", "--column-statistics=0"]
    arguments += [f"--ignore-table={name}" for name in NO_DATA if name.startswith(f"{database}.")]
    return [*arguments, "--", database, *tables]


def rows_of(path: str, *, one_a_line: bool) -> str:
    """How the program's dumps tell rows apart, see scan.COUNTS."""
    if one_a_line:
        return "insert"
    return "line" if is_of_mariadb(path) else "tuple"


class Gated:
    """A program that is started and then waits for its option file, so that it connects within a millisecond or two.

    The file is a pipe: what is in it is in no argument, no environment and on no disk.
    """

    def __init__(self, command: Sequence[str], **streams: int):
        """``command`` without --defaults-file, which is the program's first option; ``streams`` as subprocess has them."""
        inner, self._gate = os.pipe()
        try:
            self.process = subprocess.Popen(
                roomy([command[0], f"--defaults-file=/dev/fd/{inner}", *command[1:]]),
                env=environment(), pass_fds=(inner,), cwd="/", start_new_session=True, **streams,
            )  # type: ignore[call-overload]
        except OSError as e:
            self.close()
            raise ConfigError(f"{command[0]} cannot be started: {e.strerror}") from None
        finally:
            os.close(inner)

    def waits(self) -> bool:
        """Whether it has got as far as its gate, as far as can be seen: it sleeps."""
        try:
            state = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")[2][:1]
        except OSError:
            return True
        return state in ("S", "Z")

    def open(self, text: bytes) -> None:
        """Give it its option file."""
        try:
            os.write(self._gate, text)
        except BrokenPipeError:
            pass  # it has ended already; its exit status and words say why
        self.close()

    def close(self) -> None:
        """Let it read no more."""
        if self._gate >= 0:
            os.close(self._gate)
            self._gate = -1


def scratch_place() -> Path:
    """Where big temporary files go: TMPDIR, else /var/tmp, which is on a disk."""
    return Path(os.environ.get("TMPDIR") or "/var/tmp")  # noqa: S108
