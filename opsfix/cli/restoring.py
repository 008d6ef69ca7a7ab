"""``opsfix db restore``, step by step."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from opsfix import journal
from opsfix.backup import restore as restoring
from opsfix.backup.restore import Record, Restore, Wanted
from opsfix.backup.store import Backup, Store, in_use
from opsfix.cli import session
from opsfix.cli.backups import shown
from opsfix.config import Settings
from opsfix.errors import BackupError, ExitCode, TargetNotFound, UsageError
from opsfix.gateways.servers import places


@dataclass(frozen=True)
class Asked:
    """The command's options."""

    databases: tuple[str, ...]
    names: tuple[str, ...]
    tables: tuple[str, ...]
    account: Mapping[str, str] | None
    overwrite: bool
    jobs: int
    dry_run: bool
    yes: bool


def put_back(settings: Settings, store: Store, name: str, asked: Asked, output: str) -> int:
    """Plan, ask on a terminal, load, tell; the exit code."""
    backup = _whole(store, name)
    wanted = Wanted(asked.databases, _names(asked.names), _tables(asked.tables))
    record = Record(journal.state_dir(settings["state_dir"]), backup)
    found = [] if asked.account and asked.account.keys() & {"host", "socket"} else places(settings, asked.account)
    with in_use(backup.path):
        plan = restoring.plan(backup, wanted, found, asked.account, record, overwrite=asked.overwrite)
        refused = any(r.result == "refused" for r in plan)
        if not refused and not asked.dry_run and _agreed(backup, plan, asked):
            plan = restoring.run(backup, plan, asked.jobs, record, session.warn)
    session.write(render(backup, plan, asked.dry_run, output))
    return _code(plan)


def look_back(store: Store, name: str, asked: Asked, word: str) -> int:
    """Print the rows of a backup that hold the id; 4 when there is none."""
    backup = _whole(store, name)
    count = 0
    with in_use(backup.path):
        for line in restoring.past(backup, asked.databases, word):
            session.write(f"{line}\n")
            count += 1
    if not count:
        raise TargetNotFound(f"no row of {backup.name} holds {word}")
    return int(ExitCode.OK)


def render(backup: Backup, plan: Sequence[Restore], dry_run: bool, output: str) -> str:
    """What goes where, and what became of it."""
    rows = [
        {"database": r.database, "target": r.target, "server": str(r.account), "tables": len(r.tables) or len(r.entry["tables"]),
         "result": r.result, "reason": r.reason}
        for r in plan
    ]
    whole = {"schema": "opsfix.db-restore/1", "mode": "dry-run" if dry_run else "apply", "backup": backup.name,
             "exit_code": _code(plan), "databases": rows}
    return shown(rows, ("database", "target", "server", "tables", "result", "reason"), output, whole)


def _whole(store: Store, name: str) -> Backup:
    """The backup, every byte of it as it was written; 'latest' is the newest."""
    if name == "latest":
        newest = next(iter(store.every()), None)
        if newest is None:
            raise TargetNotFound(f"there is no backup in {store.root}")
        name = newest.name
    backup = store.check(store.read(name), anew=True)
    if backup.damage:
        raise BackupError(f"{name} is damaged and nothing of it is restored: {backup.damage}")
    return backup


def _agreed(backup: Backup, plan: Sequence[Restore], asked: Asked) -> bool:
    """On a terminal, show what would happen and ask once."""
    if asked.yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    click.echo(render(backup, plan, True, "table"), err=True)
    return click.confirm("Do this?", err=True)


def _code(plan: Sequence[Restore]) -> int:
    results = {r.result for r in plan}
    for result, code in (("failed", ExitCode.FAILED), ("refused", ExitCode.REFUSED), ("pending", ExitCode.REMAINING)):
        if result in results:
            return int(code)
    return int(ExitCode.OK)


def _names(given: Sequence[str]) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in given]
    if wrong := [name for name, equals, other in pairs if not (name and equals and other)]:
        raise UsageError(f"--as takes NAME=OTHER, as nova=nova_check, not {wrong[0]!r}")
    return {name: other for name, _, other in pairs}


def _tables(given: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for each in given:
        database, dot, table = each.partition(".")
        if not (database and dot and table):
            raise UsageError(f"--table takes DATABASE.TABLE, as nova.instances, not {each!r}")
        found[database] = (*found.get(database, ()), table)
    return found
