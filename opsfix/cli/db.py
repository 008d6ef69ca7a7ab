"""``opsfix db``."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opsfix.cli import options, session

if TYPE_CHECKING:
    from opsfix.backup.store import Store
    from opsfix.config import Settings

directory = click.option(
    "--dir", "backup_dir", metavar="DIR", type=click.Path(file_okay=False),
    help="Directory of the backups. [env: OPSFIX_BACKUP_DIR; default: /var/backups/opsfix]",
)
account = click.option(
    "--defaults-file", type=click.Path(dir_okay=False), envvar="OPSFIX_DEFAULTS_FILE", metavar="FILE",
    help="Log in as this option file's [client] says (as /root/.my.cnf), instead of as the services do.",
)


@click.group("db", context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Back the databases up, prove and restore backups, look at the servers."""


_NUMBER = click.IntRange(min=1)


@group.command(epilog="""\b
Examples:
  opsfix db backup --keep 30                            every night from cron
  opsfix db backup --keep-daily 7 --keep-weekly 5 --keep-monthly 12
  opsfix db backup --keep 30 --defaults-file /root/.my.cnf --metrics /var/lib/node_exporter/opsfix.prom
  opsfix db backup --databases nova,cinder --dir /srv/before-upgrade
  opsfix db backup --keep 30 --dry-run                  what would be copied, what would go""")
@click.option("--keep", type=_NUMBER, metavar="N", help="Keep the newest N good backups. Without any rule all stay.")
@click.option("--keep-days", type=_NUMBER, metavar="N", help="Keep what is not older than N days.")
@click.option("--keep-daily", type=_NUMBER, metavar="N", help="Keep the newest of each of N days.")
@click.option("--keep-weekly", type=_NUMBER, metavar="N", help="Keep the newest of each of N weeks.")
@click.option("--keep-monthly", type=_NUMBER, metavar="N", help="Keep the newest of each of N months.")
@directory
@click.option("--databases", metavar="NAMES", help="Only these, by their own or their services' names, with commas.")
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Databases read at full speed at a time.")
@click.option("--rows", type=click.Choice(["many-per-insert", "one-per-line"]), default="many-per-insert", show_default=True,
              help="One INSERT a row, for grep; slower to restore.")
@account
@click.option("--lock-wait", type=click.IntRange(1, 3600), default=10, show_default=True, metavar="SECONDS",
              help="Give up when commits cannot be held back by then.")
@click.option("--no-lock", is_flag=True, help="Hold no commit back: each database is then of a moment of its own.")
@click.option("--desync", is_flag=True, help="Galera: let the node fall behind the cluster meanwhile.")
@click.option("--low-priority", is_flag=True, help="Leave processor and disk of this host to others (nice, ionice).")
@click.option("--metrics", metavar="FILE", type=click.Path(dir_okay=False), help="Write a Prometheus text file.")
@click.option("--dry-run", is_flag=True, help="Write nothing; show what would be copied and what would go.")
@options.output
@click.pass_context
def backup(
    ctx: click.Context, /, keep: int | None, keep_days: int | None, keep_daily: int | None, keep_weekly: int | None,
    keep_monthly: int | None, backup_dir: str | None, databases: str | None, jobs: int, rows: str, defaults_file: str | None,
    lock_wait: int, no_lock: bool, desync: bool, low_priority: bool, metrics: str | None, dry_run: bool, output: str,
) -> None:  # fmt: skip
    """Copy every configured database, all of a server at one moment, then remove what no rule keeps.

    A backup appears under its name only when it is whole, on the disk and read back. Whatever fails leaves no
    directory that looks good and removes nothing.
    """
    from opsfix.backup import nightly
    from opsfix.backup.retention import Policy
    from opsfix.backup.take import Options, lower_priority

    settings, store = _begin(ctx, backup_dir)
    how = Options(_names(databases), jobs, rows == "one-per-line", not no_lock, lock_wait, desync)
    policy = Policy(keep, keep_days, keep_daily, keep_weekly, keep_monthly)
    given = _account(defaults_file)
    with _stoppable():
        if dry_run:
            night = nightly.plan(store, settings, given, how, policy, session.warn)
        else:
            if low_priority:
                lower_priority(session.warn)
            night = nightly.run(store, settings, given, how, policy, Path(metrics) if metrics else None, session.warn)
    from opsfix.cli.backups import render_night

    session.write(render_night(night, str(store.root), output))
    ctx.exit(int(night.exit_code))


@group.command("list", epilog="""\b
Examples:
  opsfix db list
  opsfix db list --dir /srv/before-upgrade -o json""")
@directory
@options.output
@click.pass_context
def list_(ctx: click.Context, /, backup_dir: str | None, output: str) -> None:
    """List the backups, the newest first; damage that shows by names and sizes is said."""
    from opsfix.cli.backups import render_list

    _, store = _begin(ctx, backup_dir)
    session.write(render_list(store.every(), str(store.root), output))


@group.command(epilog="""\b
Examples:
  opsfix db verify                                  every backup, every byte
  opsfix db verify 20261121T021000Z
  opsfix db verify --restore --jobs 4               the newest: load it, compare each table""")
@click.argument("backups", nargs=-1, metavar="[BACKUP]...")
@directory
@click.option("--restore", is_flag=True, help="Load it into a private scratch server and compare each table; the newest by default.")
@click.option("--scratch", type=click.Path(file_okay=False, exists=True), metavar="DIR",
              help="Where the scratch server keeps its files. [default: TMPDIR, else /var/tmp]")
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Databases loaded at a time.")
@options.output
@click.pass_context
def verify(
    ctx: click.Context, /, backups: tuple[str, ...], backup_dir: str | None, restore: bool, scratch: str | None, jobs: int, output: str,
) -> None:  # fmt: skip
    """Prove that backups are what was written, by their hashes or by loading one. Exits 4 when one is not."""
    from opsfix.backup import verify as proving
    from opsfix.backup.programs import scratch_place
    from opsfix.cli.backups import render_verdicts

    _, store = _begin(ctx, backup_dir)
    with _stoppable():
        if restore:
            base = Path(scratch) if scratch else scratch_place()
            names = backups or (None,)
            verdicts = [v for name in names for v in proving.by_restore(store, name, base, jobs, session.warn)]
        else:
            verdicts = proving.by_hash(store, backups)
    session.write(render_verdicts(verdicts, str(store.root), "restore" if restore else "hash", output))
    ctx.exit(4 if any(v.wrong for v in verdicts) else 0)


@group.command(epilog="""\b
Examples:
  opsfix db restore 20261121T021000Z --as nova=nova_check --as cinder=cinder_check
  opsfix db restore latest --table nova.instances --as nova=nova_look
  opsfix db restore latest --where-instance 7a7ff3d6-3e3a-4155-9fcd-15d0a9c8b0fd >then.sql
  opsfix db restore latest --defaults-file /root/standby.cnf      another server
  opsfix db restore latest --database nova --overwrite            its services are stopped""")
@click.argument("backup", metavar="BACKUP")
@directory
@click.option("--database", "databases", multiple=True, metavar="NAME", help="Only this one (repeatable). Without it all but mysql.")
@click.option("--as", "names", multiple=True, metavar="NAME=OTHER", help="Restore a database under another name (repeatable).")
@click.option("--table", "tables", multiple=True, metavar="DATABASE.TABLE", help="Only this table (repeatable).")
@click.option("--where-instance", metavar="UUID", help="Restore nothing: print each row that holds this id, as an INSERT.")
@account
@click.option("--overwrite", is_flag=True, help="Replace databases that have tables; refused while anything uses them.")
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Databases loaded at a time.")
@click.option("--dry-run", is_flag=True, help="Write nothing; show what would go where.")
@click.option("-y", "--yes", is_flag=True, help="Ask no question.")
@options.output
@click.pass_context
def restore(
    ctx: click.Context, /, backup: str, backup_dir: str | None, databases: tuple[str, ...], names: tuple[str, ...],
    tables: tuple[str, ...], where_instance: str | None, defaults_file: str | None, overwrite: bool, jobs: int,
    dry_run: bool, yes: bool, output: str,
) -> None:  # fmt: skip
    """Put a backup (or the latest) back, on the servers that are configured or the one that --defaults-file names.

    Databases that have tables are left alone unless --overwrite is given and nothing uses them. What was loaded is
    read back and compared with the backup. A run that was cut off goes on where it was when it is repeated.
    """
    from opsfix.cli.restoring import Asked, look_back, put_back

    settings, store = _begin(ctx, backup_dir)
    asked = Asked(databases, names, tables, _account(defaults_file), overwrite, jobs, dry_run, yes)
    with _stoppable():
        code = look_back(store, backup, asked, where_instance) if where_instance else put_back(settings, store, backup, asked, output)
    ctx.exit(code)


@group.command(epilog="""\b
Examples:
  opsfix db status
  opsfix db status --defaults-file /root/.my.cnf -o json""")
@directory
@account
@options.output
@click.pass_context
def status(ctx: click.Context, /, backup_dir: str | None, defaults_file: str | None, output: str) -> None:
    """Show how the database servers are. Exits 4 when a person has to do something, 7 when one cannot be reached."""
    from opsfix.backup import status as looking
    from opsfix.backup.nightly import configured
    from opsfix.cli.backups import render_status

    settings, store = _begin(ctx, backup_dir)
    found = looking.look(configured(settings, _account(defaults_file)), store)
    code = 7 if found.unreachable else 4 if any(s.look for s in found.seen) else 0
    session.write(render_status(found, code, output))
    ctx.exit(code)


def _begin(ctx: click.Context, backup_dir: str | None) -> tuple[Settings, Store]:
    from opsfix.backup.store import Store

    settings = session.settings(ctx, backup_dir=backup_dir)
    for text in settings.warnings:
        session.warn(f"warning: {text}")
    return settings, Store(Path(settings["backup_dir"]).absolute())


def _names(given: str | None) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in (given or "").split(","))))


def _account(path: str | None) -> Mapping[str, str] | None:
    from opsfix.gateways.servers import read_account

    return read_account(Path(path)) if path else None


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM and SIGHUP end a run as Ctrl-C does: programs stopped, unfinished work removed."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with session.signals((signal.SIGTERM, signal.SIGHUP), stop):
        yield
