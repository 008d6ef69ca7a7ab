"""Takes a backup: every database of every server, those of one server at one moment; whole, or not at all."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsfix import __version__
from opsfix.backup import programs
from opsfix.backup.dump import Dump, Dumped
from opsfix.backup.store import SCHEMA, Backup, Store
from opsfix.errors import BackupError, ConfigError, GuardError, UsageError
from opsfix.gateways.servers import Moment, Place, Server
from opsfix.releases import release_of

#: Seconds for all dumps of a server to begin their transactions once commits are held back.
HELD = 10.0
#: Seconds for the programs to get to their gates before; they only cost commits time when they are late.
READY = 2.0
#: What a dump takes on the disk of what the server says its rows take, when nothing better is known.
FIRST_GUESS = 0.35
#: Room for growth over the last backup, and for what else writes to that disk.
MARGIN, SPARE = 1.2, 16 << 20

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """How a backup is taken, as the command's options say."""

    databases: tuple[str, ...] = ()
    jobs: int = 2
    one_a_line: bool = False
    lock: bool = True
    lock_wait: int = 10
    desync: bool = False


@dataclass
class Target:
    """A server and what to dump of it: database -> the service that it belongs to, and the server as
    the account sees it that reads it; its tables; and how its dump speaks to the server, see programs.names_for."""

    server: Server
    databases: dict[str, tuple[str, Server]] = field(default_factory=dict)
    tables: dict[str, dict[str, tuple[str, int, int]]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def size(self, database: str) -> int:
        """Bytes of a database's rows, by the server's estimate."""
        return sum(size for _, size, _ in self.tables[database].values())


def survey(places: Sequence[Place], options: Options, warn: Warn) -> list[Target]:
    """Log in everywhere and see what is there; every account must work before anything is written.

    Raises ConfigError for a server or a login that does not work, GuardError for a Galera node out of sync, UsageError
    for a name that is not configured.
    """
    targets = _targets(places)
    _select(targets, options.databases)
    for target in targets:
        target.server.check_in_sync()
        dumper = programs.program("dump", mariadb=target.server.is_mariadb)
        for database, (service, seen) in target.databases.items():
            if tables := seen.tables(database):
                target.tables[database] = tables
                columns = seen.columns(database)
                target.names[database] = programs.names_for(dumper, columns, mariadb=target.server.is_mariadb)
            else:
                raise ConfigError(f"{seen} sees no table in {database}, which {service} is configured to use")
        for database, tables in target.tables.items():
            loose = sorted(n for n, (engine, *_) in tables.items() if engine not in ("InnoDB", "ROCKSDB", "None", "VIEW"))
            if loose and database != "mysql":
                warn(f"warning: tables of {database} without transactions are copied after the moment: {', '.join(loose)}")
    return targets


def _targets(places: Sequence[Place]) -> list[Target]:
    """The places by server, which is told by what it says of itself and not by the address it was reached at."""
    found: dict[tuple[Any, ...], Target] = {}
    servers = {account: Server(account) for account in dict.fromkeys(place.account for place in places)}
    for place in places:
        server = servers[place.account]
        target = found.setdefault(server.identity, Target(server))
        target.databases.setdefault(place.database, (place.service, server))
        if "mysql" not in target.databases and server.may_read_grants():
            target.databases["mysql"] = ("grants", server)
    return list(found.values())


def _select(targets: list[Target], wanted: Sequence[str]) -> None:
    """Leave the databases asked for, by their own names or by their services'."""
    if not wanted:
        return
    known = {name for t in targets for database, (service, _) in t.databases.items() for name in (database, service)}
    if strange := sorted(set(wanted) - known):
        raise UsageError(f"no configured database is called {', '.join(strange)}; known are {', '.join(sorted(known))}")
    for target in targets:
        target.databases = {d: v for d, v in target.databases.items() if d in wanted or v[0] in wanted}
    targets[:] = [t for t in targets if t.databases]


def estimate(targets: Sequence[Target], last: Backup | None) -> int:
    """Bytes that the backup will need: as the last one for each database, grown by a margin, else a guess by its size."""
    known = {(d["database"], d["server"]): int(d["bytes"]) for d in (last.databases if last else [])}
    total = 0.0
    for target in targets:
        for database in target.databases:
            before = known.get((database, str(target.server)))
            total += before * MARGIN if before is not None else target.size(database) * FIRST_GUESS
    return int(total) + SPARE


def check_space(store: Store, needed: int) -> None:
    """Raises BackupError when the disk has not that much left."""
    free = shutil.disk_usage(store.root).free
    if free < needed:
        raise BackupError(
            f"the disk of {store.root} is full: {free / 1e6:.0f} MB are free, the backup will need about {needed / 1e6:.0f} MB:"
            " nothing was backed up"
        )


def take(store: Store, targets: Sequence[Target], options: Options, warn: Warn) -> Backup:
    """Take the backup; needs the store's lock. Raises BackupError, after which nothing is left of it."""
    started, clock = datetime.now(UTC), time.monotonic()
    sequence = store.next_sequence()
    name, part = store.begin(started)
    try:
        servers, databases = _dump_all(part, targets, options, warn)
        manifest = {
            "schema": SCHEMA, "backup": name, "sequence": sequence, "opsfix": __version__, "host": socket.gethostname(),
            "started": _stamp(started), "finished": _stamp(datetime.now(UTC)), "seconds": round(time.monotonic() - clock, 3),
            "rows": "one-per-line" if options.one_a_line else "many-per-insert",
            "consistent": "server" if options.lock else "database", "servers": servers, "databases": databases,
        }
        return store.publish(part, name, manifest)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _dump_all(
    part: Path, targets: Sequence[Target], options: Options, warn: Warn
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Start every dump, give all of a server one moment, read them to their ends; what the manifest says of them."""
    with ExitStack() as held:
        dumps: list[tuple[Target, Dump]] = []
        servers = []
        taken: set[str] = set()
        for number, target in enumerate(targets):
            if options.desync:
                held.enter_context(target.server.desynced())
            own = [_start(part / file, target, database, options) for database, file in _files(target, number, taken).items()]
            for dump in own:
                held.callback(dump.end)
            seconds, position = _moment(target, own, options)
            servers.append({
                "server": str(target.server), "version": target.server.version, "held_seconds": seconds,
                "position": position, "dumped_by": programs.version(programs.program("dump", mariadb=target.server.is_mariadb)),
                "variables": target.server.variables("lower_case_table_names", "character_set_server", "collation_server"),
            })
            dumps += [(target, dump) for dump in own]
        done = _read_all(dumps, options.jobs)
        return servers, [_entry(target, dump, done[id(dump)], warn) for target, dump in dumps]


def _files(target: Target, number: int, taken: set[str]) -> dict[str, str]:
    """The file of each database: named for it, or for it and its server when an earlier server has one of that name."""
    found = {}
    for database in target.databases:
        stem = _file_name(database)
        found[database] = f"{stem}.sql.zst" if stem not in taken else f"{stem}@{number + 1}.sql.zst"
        taken.add(stem)
    return found


def _start(path: Path, target: Target, database: str, options: Options) -> Dump:
    """A dump that waits at its gate."""
    account = target.databases[database][1].account
    return Dump(
        account, database, path, one_a_line=options.one_a_line, mariadb=target.server.is_mariadb, names=target.names[database]
    )


def _file_name(database: str) -> str:
    return "".join(c if c.isalnum() or c in "-_$." else f"%{ord(c):02x}" for c in database).lstrip(".") or "database"


def _moment(target: Target, dumps: Sequence[Dump], options: Options) -> tuple[float | None, dict[str, Any]]:
    """Let the dumps begin while nothing can be committed; for how long that was, and where the server's logs stood."""
    if not options.lock:
        for dump in dumps:
            dump.open()
        return None, {}
    deadline = time.monotonic() + READY
    while not all(dump.waits() for dump in dumps) and time.monotonic() < deadline:
        time.sleep(0.002)
    with target.server.still(options.lock_wait) as moment:
        for dump in dumps:
            dump.open()
        position = moment.position()
        _await(dumps)
        moment.end()
        _prove_same_server(target, dumps, moment)
    return moment.seconds, position


def _await(dumps: Sequence[Dump]) -> None:
    deadline = time.monotonic() + HELD
    for dump in dumps:
        if not dump.begun.wait(max(0.0, deadline - time.monotonic())):
            raise BackupError(f"the dump of {dump.database} did not begin within {HELD:.0f} s while commits were held back")


def _prove_same_server(target: Target, dumps: Sequence[Dump], moment: Moment) -> None:
    """A proxy may send the dumps to another node than the one whose commits are held back.

    A dump at work has a session there; one that has just ended may be counted a moment too long, hence the deadline.
    """
    deadline = time.monotonic() + 1
    while True:
        seen = moment.sessions()
        working = Counter(dump.account.user for dump in dumps if dump.alive())
        if not (missing := working - seen):
            return
        if time.monotonic() > deadline:
            break
    raise GuardError(
        f"the dumps as {', '.join(sorted(missing))} are not to be seen on the server whose commits were held back,"
        f" {target.server}: is there a proxy that spreads connections over several servers? Name one server; or let the"
        " account see all sessions (GRANT PROCESS ON *.*)"
    )


def _read_all(dumps: Sequence[tuple[Target, Dump]], jobs: int) -> dict[int, Dumped]:
    """Read the dumps, the biggest first, ``jobs`` of them at full speed; the first failure ends all."""
    waiting = [d for _, d in sorted(dumps, key=lambda td: td[0].size(td[1].database), reverse=True)]
    with ThreadPoolExecutor(len(dumps)) as pool:
        running: dict[Future[Dumped], Dump] = {pool.submit(dump.run): dump for dump in waiting}
        results: dict[int, Dumped] = {}
        try:
            for dump in waiting[:jobs]:
                dump.turn.set()
            behind = waiting[jobs:]
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    dump = running.pop(future)
                    results[id(dump)] = future.result()
                    if behind:
                        behind.pop(0).turn.set()
        finally:
            for dump in running.values():
                dump.end()
    return results


def _entry(target: Target, dump: Dump, done: Dumped, warn: Warn) -> dict[str, Any]:
    """What the manifest says of a database. Raises BackupError when the dump lacks a table that the server has."""
    service, seen = target.databases[dump.database]
    scan, expected = done.scan, set(target.tables[dump.database])
    expected -= {name.partition(".")[2] for name in programs.NO_DATA if name.startswith(f"{dump.database}.")}
    if expected != set(scan.tables):
        listed = ", ".join(sorted(expected ^ set(scan.tables))[:5])
        raise BackupError(
            f"the dump of {dump.database} and the server do not have the same tables ({listed}): was it migrated meanwhile?"
        )
    heads = scan.heads()
    release = release_of(service, set(heads))
    if service != "grants" and not heads:
        warn(f"warning: {dump.database} has no alembic head: no release is noted for it")
    return {
        "database": dump.database, "service": service, "server": str(target.server), "file": dump.file_name(),
        "bytes": done.bytes, "sha256": done.sha256, "dump_bytes": scan.size, "names": dump.names,
        "created_as": seen.created_as(dump.database), "alembic_heads": heads, "release": release,
        "rows": sum(t.rows for t in scan.tables.values()), "tables": [t.as_dict() for _, t in sorted(scan.tables.items())],
    }


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def lower_priority(warn: Warn) -> None:
    """Leave processor and disk to others; what is started later inherits it."""
    os.nice(15)
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            ["ionice", "-c", "3", "-p", str(os.getpid())], env=programs.environment(), capture_output=True, check=False, timeout=10
        )
        if done.returncode == 0:
            return
    warn("warning: the disk's priority could not be lowered (ionice)")
