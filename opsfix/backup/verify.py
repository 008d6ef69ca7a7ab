"""Proves a backup: by its hashes, or by loading it into a server of its own and comparing every table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsfix.backup.load import compare, load, names_of, pieces, scan_now
from opsfix.backup.scratch import scratch
from opsfix.backup.store import Backup, Store, in_use
from opsfix.errors import BackupError, GuardError, TargetNotFound
from opsfix.gateways.servers import Account, Server

#: Differences that are told of one database; more help nobody.
SHOWN = 5


@dataclass(frozen=True)
class Verdict:
    """What a check found of a backup, or of one database of it; ``wrong`` is None when nothing is."""

    backup: str
    database: str | None
    wrong: str | None
    rows: int | None = None


def by_hash(store: Store, names: Sequence[str]) -> list[Verdict]:
    """Read every byte of the named backups, all of them without names. Raises TargetNotFound when there is none."""
    backups = [store.read(name) for name in names] if names else store.every()
    if not backups:
        raise TargetNotFound(f"there is no backup in {store.root}")
    found = []
    for backup in backups:
        with in_use(backup.path):
            found.append(Verdict(backup.name, None, store.check(backup, anew=True).damage))
    return found


def by_restore(store: Store, name: str | None, base: Path, jobs: int, progress: Callable[[str], None]) -> list[Verdict]:
    """Load a backup, the newest without a name, and compare each table with the manifest."""
    backup = store.read(name) if name else next(iter(store.every()), None)
    if backup is None:
        raise TargetNotFound(f"there is no backup in {store.root}")
    with in_use(backup.path):
        whole = store.check(backup, anew=True)
        if whole.damage:
            return [Verdict(backup.name, None, whole.damage)]
        verdicts: list[Verdict] = []
        for server in backup.manifest["servers"]:
            verdicts += _of_server(backup, server, base, jobs, progress)
    return verdicts


def _of_server(
    backup: Backup, server: Mapping[str, Any], base: Path, jobs: int, progress: Callable[[str], None]
) -> list[Verdict]:
    if "mariadb" not in str(server["version"]).lower():
        raise GuardError(
            f"{backup.name} is of {server['version']}: a scratch server is MariaDB, which does not take all that MySQL dumps;"
            " restore it into a MySQL server of your own with --defaults-file and --as"
        )
    databases = [d for d in backup.databases if d["server"] == server["server"]]
    size = sum(int(d["dump_bytes"]) for d in databases)
    with scratch(base, size, server.get("variables", {})) as account:
        progress(f"loading {len(databases)} databases into a scratch server under {base}")
        # mysql last: with it the accounts of the backup are those of the scratch server
        ordered = sorted((d for d in databases if d["database"] != "mysql"), key=lambda d: -int(d["dump_bytes"]))
        pool = ThreadPoolExecutor(jobs)
        try:
            found = list(pool.map(lambda d: _one(backup, d, account), ordered))
        finally:  # whoever interrupts this waits for no load: its server goes next
            pool.shutdown(wait=False, cancel_futures=True)
        return found + [_one(backup, d, account) for d in databases if d["database"] == "mysql"]


def _one(backup: Backup, entry: Mapping[str, Any], account: Account) -> Verdict:
    """Load one database and compare it."""
    database = str(entry["database"])
    try:
        server = Server(account)
        if database != "mysql":
            server.create_database(database, entry.get("created_as"))
        server.dispose()
        load(account, database, pieces(backup.path / str(entry["file"])))
        scan = scan_now(account, database, one_a_line=backup.manifest["rows"] == "one-per-line", names=names_of(entry))
    except BackupError as e:
        return Verdict(backup.name, database, str(e))
    differences = compare(entry["tables"], scan)
    told = "; ".join(f"{d.table} {d.text}" for d in differences[:SHOWN])
    more = f"; and {len(differences) - SHOWN} more" if len(differences) > SHOWN else ""
    return Verdict(backup.name, database, f"{told}{more}" if differences else None, sum(t.rows for t in scan.tables.values()))
