"""Puts a backup back: databases under their own or other names, on their own or another server; never over live ones."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opsfix.backup.load import compare, load, names_of, only_tables, pieces, rows_with, scan_now
from opsfix.backup.programs import is_of_mariadb, program
from opsfix.backup.store import Backup
from opsfix.errors import BackupError, ConfigError, OpsfixError, UsageError
from opsfix.gateways.servers import Account, Place, Server, with_options
from opsfix.journal import private

#: A service whose heartbeat is younger is up, in seconds; nova, cinder and neutron themselves say 60 to 75.
FRESH = 90
#: Services that keep heartbeats in their databases; of the others an open session tells.
HEARTBEATS = ("nova", "cinder")


@dataclass(frozen=True)
class Wanted:
    """What is asked for: databases of the backup (none: all but mysql), other names for them, single tables of them."""

    databases: tuple[str, ...] = ()
    names: Mapping[str, str] | None = None
    tables: Mapping[str, tuple[str, ...]] | None = None


@dataclass(frozen=True)
class Restore:
    """One database to put back. ``there`` is how many tables the target has now; ``result`` is pending, restored,
    skipped, refused or failed, with its reason."""

    entry: Mapping[str, Any]
    account: Account
    target: str
    there: int
    tables: tuple[str, ...] = ()
    result: str = "pending"
    reason: str = ""

    @property
    def database(self) -> str:
        """Its name in the backup."""
        return str(self.entry["database"])


def plan(
    backup: Backup, wanted: Wanted, places: Sequence[Place], given: Mapping[str, str] | None, record: Record, *, overwrite: bool
) -> list[Restore]:
    """What would be put where, and what is refused. Raises UsageError for a name that the backup has not, ConfigError for
    a server that does not answer."""
    chosen = _chosen(backup, wanted)
    targets = [_target(entry, wanted, places, given) for entry in chosen]
    doubled = {(t.account, t.target) for t in targets if sum((o.account, o.target) == (t.account, t.target) for o in targets) > 1}
    if doubled:
        raise UsageError(f"two databases would be restored into one: {', '.join(sorted(name for _, name in doubled))}")
    return [_judged(t, record, overwrite=overwrite) for t in targets]


def _chosen(backup: Backup, wanted: Wanted) -> list[Mapping[str, Any]]:
    known = {str(d["database"]): d for d in backup.databases}
    asked = {*wanted.databases, *(wanted.names or {}), *(wanted.tables or {})}
    if strange := sorted(asked - known.keys()):
        raise UsageError(f"{backup.name} has no database {', '.join(strange)}; it has {', '.join(sorted(known))}")
    for database, tables in (wanted.tables or {}).items():
        have = {t["name"] for t in known[database]["tables"]}
        if missing := sorted(set(tables) - have):
            raise UsageError(f"{database} of {backup.name} has no table {', '.join(missing)}")
    if not asked:
        return [d for d in backup.databases if d["database"] != "mysql"]
    only = {*wanted.databases, *(wanted.tables or {})} or asked
    return [known[name] for name in sorted(only)]


def _target(entry: Mapping[str, Any], wanted: Wanted, places: Sequence[Place], given: Mapping[str, str] | None) -> Restore:
    database = str(entry["database"])
    target = (wanted.names or {}).get(database, database)
    if target in ("mysql", "information_schema", "performance_schema", "sys"):
        raise UsageError(
            f"{target} is the server's own: look at the grants of the backup with --as mysql=NAME, and put them back by hand"
        )
    account = next((p.account for p in places if p.database == database), places[0].account if places else None)
    if account is None:
        if not given:
            raise ConfigError(f"nothing says where {database} belongs: configure a database, or name a server with --defaults-file")
        account = with_options(Account("localhost", 3306, ""), given)
    there = len(Server(account).tables(target))
    return Restore(entry, account, target, there, (wanted.tables or {}).get(database, ()))


def _judged(restore: Restore, record: Record, *, overwrite: bool) -> Restore:
    """Refuse what would destroy something that may be in use."""
    if not restore.there:
        return restore
    before = record.state(restore)
    if before == "done" and not overwrite:
        return replace(restore, result="skipped", reason="restored by an earlier run of this command")
    if before == "begun":
        return restore  # half loaded, by us: nothing else can be in it
    if not overwrite:
        return replace(restore, result="refused", reason=(
            f"{restore.target} exists and has {restore.there} tables: restore it under another name with --as"
            f" {restore.database}=NAME, or say --overwrite once its services are stopped"
        ))
    if reason := live(Server(restore.account), restore.target, str(restore.entry["service"])):
        return replace(restore, result="refused", reason=reason)
    return restore


def live(server: Server, database: str, service: str) -> str | None:
    """Why a database counts as live: a fresh heartbeat in it, or a session on it; None when neither is there."""
    if service in HEARTBEATS and "services" in server.tables(database):
        age = server.heartbeat_age(service, database)
        if age is not None and age < FRESH:
            return f"{database} is live: a service of {service} reported {age} s ago: stop the services first"
    if not server.sees_all_sessions():
        return (
            f"{server} cannot see whether others use {database}: GRANT PROCESS ON *.*, or name an account that can with"
            " --defaults-file"
        )
    if sessions := server.sessions_in(database):
        return f"{database} is live: {sessions} sessions use it: stop the services first (SHOW PROCESSLIST)"
    return None


def run(
    backup: Backup, restores: Sequence[Restore], jobs: int, record: Record, progress: Callable[[str], None]
) -> list[Restore]:
    """Load what is pending, the biggest first; each is read back before it is called restored."""
    ordered = sorted(restores, key=lambda r: -int(r.entry["dump_bytes"]))

    def one(restore: Restore) -> Restore:
        if restore.result != "pending":
            return restore
        try:
            _load(backup, restore, record)
        except OpsfixError as e:
            return replace(restore, result="failed", reason=str(e))
        progress(f"{restore.database} is restored into {restore.target}")
        return replace(restore, result="restored", reason="read again: as it was backed up")

    with ThreadPoolExecutor(jobs) as pool:
        try:
            return list(pool.map(one, ordered))
        except KeyboardInterrupt:
            progress("interrupted: what is being loaded is loaded to its end; repeat the command for the rest")
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _load(backup: Backup, restore: Restore, record: Record) -> None:
    server = Server(restore.account)
    text = pieces(backup.path / str(restore.entry["file"]))
    record.note(restore, "begun")
    if restore.tables:
        if not server.created_as(restore.target):
            server.create_database(restore.target, restore.entry.get("created_as"))
        text = only_tables(text, restore.tables)
    else:
        if server.created_as(restore.target):
            server.drop_database(restore.target)
        server.create_database(restore.target, restore.entry.get("created_as"))
    server.dispose()
    load(restore.account, restore.target, text, mariadb=is_of_mariadb(program("client")))
    wanted = [t for t in restore.entry["tables"] if not restore.tables or t["name"] in restore.tables]
    scan = scan_now(
        restore.account, restore.target, one_a_line=backup.manifest["rows"] == "one-per-line", names=names_of(restore.entry),
        tables=restore.tables,
    )
    if differences := compare(wanted, scan):
        first = differences[0]
        raise BackupError(f"what was loaded is not what was backed up: {first.table} {first.text} ({len(differences)} tables)")
    record.note(restore, "done")


def past(backup: Backup, databases: Sequence[str], word: str) -> Iterator[str]:
    """Every row of a backup in which a value is the word, as an INSERT; read from the dumps, no server is needed."""
    kind = "insert" if backup.manifest["rows"] == "one-per-line" else "line"
    versions = {str(s["server"]): str(s["dumped_by"]) for s in backup.manifest["servers"]}
    for entry in backup.databases:
        if databases and entry["database"] not in databases:
            continue
        if kind == "line" and "mariadb" not in versions[str(entry["server"])].lower():
            kind = "tuple"
        for table, row in rows_with(pieces(backup.path / str(entry["file"])), word, kind):
            name = table.replace("`", "``")
            yield f"INSERT INTO `{entry['database']}`.`{name}` VALUES {row.decode(errors='surrogateescape')};"


class Record:
    """Which databases a restore has begun and finished, so that one that was cut off goes on where it was."""

    def __init__(self, state_dir: Path, backup: Backup):
        self._writing = threading.Lock()
        self._path = state_dir / "restores" / f"{backup.name}-{hashlib.sha256(str(backup.path).encode()).hexdigest()[:8]}.json"

    def state(self, restore: Restore) -> str | None:
        """begun, done, or None."""
        found = self._read().get(self._key(restore))
        return str(found) if found else None

    def note(self, restore: Restore, state: str) -> None:
        """Keep it on the disk before anything is changed."""
        try:
            private(self._path.parent.parent)
            private(self._path.parent)
            part = self._path.with_suffix(".part")
            with self._writing:
                with part.open("w", encoding="utf-8") as file:
                    json.dump(self._read() | {self._key(restore): state}, file)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(self._path)
        except OSError as e:
            raise BackupError(f"what was begun cannot be noted in {self._path.parent} ({e.strerror}): nothing was changed") from None

    def _read(self) -> dict[str, str]:
        with suppress(OSError, ValueError):
            found = json.loads(self._path.read_text(encoding="utf-8"))
            if isinstance(found, dict):
                return found
        return {}

    def _key(self, restore: Restore) -> str:
        return f"{restore.account.host}:{restore.account.socket or restore.account.port}/{restore.target}"
