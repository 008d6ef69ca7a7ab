"""The one way in which every command that changes forwardings runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import click

from opsfix import journal as journals
from opsfix.cli import session
from opsfix.cli.repairing import kept_report, recorders, steady
from opsfix.config import Settings
from opsfix.engine.run import Run
from opsfix.engine.way import Finding
from opsfix.errors import PRECEDENCE, CloudRefused, CloudUnknown, ConfigError, DatabaseUnknown, ExitCode
from opsfix.forwarding.changes import Batch, Forwardings, repairs
from opsfix.forwarding.importing import Difference, Problem
from opsfix.forwarding.reading import Reader
from opsfix.gateways.opening import cloud_lock, open_databases
from opsfix.model import Item, Mode
from opsfix.render import Progress, printable, render_report
from opsfix.scene import Scene
from opsfix.secrets import masked

UNTOUCHED = "nothing was changed: another part of the same command was refused"


@dataclass(frozen=True)
class Options:
    """The shared options, as options.wishes spells them."""

    dry_run: bool
    workers: int | None
    yes: bool
    output: str


def run_changes(
    ctx: click.Context, command: str, build: Callable[[Reader], Difference | list[Problem]], options: Options
) -> int:
    """Read, judge, ask where something is removed in bulk, change, verify, report; returns the exit code.

    ``build`` reads what shall change. Nothing is sent unless every change may be.
    """
    settings = session.settings(ctx, workers=options.workers)
    root = journals.state_dir(settings["state_dir"])
    mode = Mode.DRY_RUN if options.dry_run else Mode.APPLY
    with ExitStack() as held:
        cloud = session.cloud(ctx, settings)
        cloud.connect()
        for text in settings.warnings:
            session.warn(f"warning: {text}")
        if mode is not Mode.DRY_RUN:
            held.enter_context(journals.host_lock(root, cloud.identity))
            _lock_cloud(settings, held)
        try:
            built = build(Reader(cloud, settings["workers"]))
        except (CloudRefused, CloudUnknown) as e:
            raise ConfigError(f"the cloud cannot be read: {e}") from e
        if not isinstance(built, Difference):
            return _told(built)
        if not _agreed(built, options):
            mode = Mode.DRY_RUN
        scene = Scene(cloud, deadline=settings["deadline"])
        journal = journals.Journal(root, command, str(mode), [masked(a) for a in sys.argv[1:]], cloud.identity)
        progress = Progress()
        run = Run(
            Forwardings(built.batch), repairs(built.batch), scene, mode, recorders(journal), settings["workers"], progress
        )
        started = journals.now()
        with steady(run):
            items = _carried_out(run, built.batch)
            progress.end()
            report = kept_report(journal, command, mode, started, items, run)
            session.write(render_report(report, options.output))
    return int(report.exit_code)


def _lock_cloud(settings: Settings, held: ExitStack) -> None:
    """Keep off the runs of other hosts, where neutron's database is there to meet in."""
    databases = open_databases(settings, ("neutron",))
    if databases is None:
        return
    held.callback(databases.dispose)
    try:
        databases.check()
        warnings = held.enter_context(cloud_lock(databases)).warnings
    except DatabaseUnknown as e:
        raise ConfigError(f"neutron's database cannot be used: {e}") from e
    for text in warnings:
        session.warn(f"warning: {text}")


def _told(problems: Sequence[Problem]) -> int:
    """One line for each line of the file that cannot be meant; the exit code that wins."""
    for problem in problems:
        session.warn(f"line {problem.line}: {problem.error}")
    codes = {problem.error.exit_code for problem in problems}
    # a line that is not understood makes the rest of no use
    return int(ExitCode.USAGE if ExitCode.USAGE in codes else next(code for code in PRECEDENCE if code in codes))


def _agreed(built: Difference, options: Options) -> bool:
    """Show what would go on a terminal and ask once, where a whole lot may; a no leaves a dry run."""
    going = [c for c in built.batch.changes.values() if not c.wanted]
    if not built.asks or not going or options.dry_run or options.yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    for line in built.lines():
        if line.startswith("-"):
            click.echo(printable(line), err=True)
    return click.confirm(f"Remove these {len(going)}?", err=True)


def _carried_out(run: Run, batch: Batch) -> list[Item]:
    """First what goes, for it may be in the way of what comes; nothing where a guard refuses any of it."""
    going, coming = (run.find(batch.ids(wanted=wanted), named=True) for wanted in (False, True))
    refused = [f for f in going + coming if _refusal(f)]
    if not refused:
        return run.repair(_by_turns(going, batch)) + run.repair(_by_turns(coming, batch))
    for finding in refused:
        session.warn(f"{finding.look.name if finding.look else finding.id}: {_refusal(finding)}")
    return [item for f in going + coming for item in run.refuse([f], _refusal(f) or UNTOUCHED)]


def _refusal(finding: Finding) -> str | None:
    return finding.planned.refusal if finding.planned else finding.problem


def _by_turns(findings: list[Finding], batch: Batch) -> list[Finding]:
    """In the order of the batch, which lets floating IPs take turns; the engine looks in that of the ids."""
    place = {subject_id: n for n, subject_id in enumerate([*batch.ids(wanted=False), *batch.ids(wanted=True)])}
    return sorted(findings, key=lambda f: place[f.id])
