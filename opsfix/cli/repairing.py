"""The one way in which every repair command runs."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Protocol

import click

from opsfix import journal as journals
from opsfix import plans
from opsfix.cli import session
from opsfix.cli.applying import approved
from opsfix.cli.applying import targets as planned_targets
from opsfix.cli.proving import prove
from opsfix.config import Settings
from opsfix.engine.run import Run
from opsfix.errors import CloudRefused, CloudUnknown, ConfigError, DatabaseUnknown, ExitCode, JournalError, UsageError
from opsfix.gateways.database import Databases
from opsfix.gateways.opening import cloud_lock, open_databases
from opsfix.model import Item, Mode, Outcome, Report
from opsfix.ports import Recorder
from opsfix.render import Progress, render_report
from opsfix.repair import Repair
from opsfix.scene import Scene
from opsfix.secrets import masked
from opsfix.subject import Subject

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Command:
    """A repair command: what it repairs, how it finds it without names, and the databases that it may need.

    ``destroys``: on a terminal it shows its plan and asks once. ``instead`` is the option that stands in for names;
    ``several``: a name stands for all that have it.
    """

    name: str
    subject: Subject
    repairs: tuple[Repair, ...]
    find: Callable[[Scene], set[str]]
    databases: Sequence[str]
    destroys: bool = False
    instead: str = "--all"
    several: bool = False


@dataclass(frozen=True)
class Options:
    """The shared options of repair commands, as options.repairs and options.purges spell them."""

    dry_run: bool
    commit: bool
    older_than: timedelta
    fenced: tuple[str, ...]
    limit: int
    workers: int | None
    yes: bool
    output: str
    everything: bool = False
    plan_out: Path | None = None

    @property
    def mode(self) -> Mode:
        """What the run may change."""
        if self.dry_run and self.commit:
            raise UsageError("--dry-run and --commit exclude each other")
        if self.plan_out is not None and not self.dry_run:
            raise UsageError("--plan-out writes what --dry-run shows: give both")
        return Mode.DRY_RUN if self.dry_run else Mode.COMMIT if self.commit else Mode.APPLY


class Stoppable(Protocol):
    """What an interrupt ends, and the exit codes from outside its items."""

    raised: list[ExitCode]

    @property
    def stop(self) -> Event: ...


def run_repair(ctx: click.Context, command: Command, targets: Sequence[str], options: Options) -> int:
    """Find, plan, act, verify, fall back, verify, report; returns the exit code."""
    if ctx.obj is not None:  # a plan says what is meant, however its command was told; it was read and approved
        targets, options = planned_targets(ctx.obj), replace(options, everything=False, limit=0, yes=True)
    mode = options.mode
    _check_targets(command, targets, options)
    if options.plan_out is not None:
        plans.writable(options.plan_out)
    settings = session.settings(ctx, workers=options.workers)
    root = journals.state_dir(settings["state_dir"])
    with ExitStack() as held:
        scene, databases = open_scene(ctx, command.databases, settings, options, held, aggregates=command.destroys)
        if ctx.obj is not None:
            plans.fitting(ctx.obj, scene.cloud.identity, _heads(databases))
        if mode is not Mode.DRY_RUN:
            lock(root, scene, databases, held)
        ids, missing = _candidates(command, scene, targets, by_id=ctx.obj is not None)
        if command.destroys and not _agreed(command, scene, ids, targets, options, settings["workers"]):
            mode = Mode.DRY_RUN
            if databases is not None:
                databases.read_only = True
        journal = journals.Journal(
            root, command.name, str(mode), [masked(a) for a in sys.argv[1:]], scene.cloud.identity,
            **({"plan": ctx.obj["hash"]} if ctx.obj is not None else {}),
        )
        progress = Progress()
        run = Run(command.subject, command.repairs, scene, mode, recorders(journal), settings["workers"], progress,
                  staged=command.destroys, approved=approved(ctx.obj) if ctx.obj is not None else None)
        started = journals.now()
        with steady(run):
            items = missing + _bounded(run, ids, options.limit, named=bool(targets))
            progress.end()
            for text in run.dangers:
                session.warn(f"warning: {text}")
            report = kept_report(journal, command.name, mode, started, items, run)
            session.write(render_report(report, options.output))
            if options.plan_out is not None:
                _write_plan(options.plan_out, ctx, command, report, scene, databases)
    return int(report.exit_code)


def _write_plan(
    path: Path, ctx: click.Context, command: Command, report: Report, scene: Scene, databases: Databases | None
) -> None:
    stages = {stage for item in report.items for stage in item.stages}
    files = [r.fallback.sql for r in command.repairs if r.fallback and r.symptom in stages]
    plan = plans.document(
        report.run, command.name, ctx.params, scene.cloud.identity, _heads(databases), report.items, files
    )
    plans.write(path, plan)
    session.warn(
        f"plan {path}: {len(plan['items'])} items, SHA-256 {plan['hash'][:16]}...: read it, then 'opsfix apply {path}'"
    )


def _heads(databases: Databases | None) -> dict[str, list[str]]:
    try:
        return databases.heads() if databases is not None else {}
    except DatabaseUnknown as e:
        raise ConfigError(f"the database {e}") from None


def lock(root: Path, scene: Scene, databases: Databases | None, held: ExitStack) -> None:
    """Keep every other run off the cloud. Raises LockedError."""
    held.enter_context(journals.host_lock(root, scene.cloud.identity))
    if databases is not None:
        for text in held.enter_context(cloud_lock(databases)).warnings:
            session.warn(f"warning: {text}")


def _agreed(
    command: Command, scene: Scene, ids: Sequence[str], targets: Sequence[str], options: Options, workers: int
) -> bool:
    """Show the plan on a terminal and ask once; a no leaves a dry run. Without a terminal nobody is asked."""
    if options.mode is Mode.DRY_RUN or options.yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    run = Run(command.subject, command.repairs, scene, Mode.DRY_RUN, lambda _: lambda *_, **__: None, workers, staged=True)
    items = run.find_and_repair(ids, named=bool(targets))
    if not any(item.outcome is Outcome.NEEDS_COMMIT for item in items):
        return True
    report = Report("plan", command.name, Mode.DRY_RUN, journals.now(), journals.now(), tuple(items))
    click.echo(render_report(report, "table"), err=True)
    return click.confirm("Do this?", err=True)


def _check_targets(command: Command, targets: Sequence[str], options: Options) -> None:
    if bool(targets) == options.everything:
        raise UsageError(f"name what to repair, or say {command.instead} (not both): see 'opsfix {command.name} --help'")
    if any(not target for target in targets):
        raise UsageError("an empty name names nothing")


def open_scene(
    ctx: click.Context, wanted: Sequence[str], settings: Settings, options: Options, held: ExitStack, *, aggregates: bool
) -> tuple[Scene, Databases | None]:
    """Connect to everything of ``wanted`` that is configured; all of it must work, and be what it claims, before any
    change. ``aggregates``: see proving.prove."""
    cloud = session.cloud(ctx, settings)
    cloud.connect()
    for text in settings.warnings:
        session.warn(f"warning: {text}")
    databases = open_databases(settings, wanted, read_only=options.mode is Mode.DRY_RUN)
    if databases is not None:
        held.callback(databases.dispose)
    try:
        computes, volumes = prove(cloud, databases, aggregates=aggregates)
    except (CloudRefused, CloudUnknown, DatabaseUnknown) as e:
        raise ConfigError(f"the cloud cannot be read: {e}: opsfix needs an administrator of a cloud that answers") from e
    known = {s.host for s in computes} | {part for s in volumes for part in (s.host, s.host.split("@")[0])}
    for host in sorted(set(options.fenced) - known):
        session.warn(f"warning: no service runs on {host}, which --fenced names: is it spelled as the services spell it?")
    return Scene(cloud, databases, options.older_than, frozenset(options.fenced), settings["deadline"]), databases


def _candidates(command: Command, scene: Scene, targets: Sequence[str], *, by_id: bool) -> tuple[list[str], list[Item]]:
    """The ids to look at, and a failed item for each name that nothing has; ``by_id``: the targets are no names."""
    missing: list[Item] = []
    try:
        if by_id:
            ids = list(targets)
        elif targets:
            ids, missing = _named(command, scene, targets)
        else:
            ids = sorted(command.find(scene))
        if targets and command.subject.type == "volume" and not scene.has("nova"):
            scene.list_mapped(ids)
    except (CloudRefused, CloudUnknown, DatabaseUnknown) as e:
        raise ConfigError(f"the cloud cannot be read: {e}") from e
    return ids, missing


def _named(command: Command, scene: Scene, targets: Sequence[str]) -> tuple[list[str], list[Item]]:
    subject = command.subject
    ids: dict[str, None] = {}
    missing = []
    for target in targets:
        if UUID.match(target) and not command.several:
            ids[target.lower()] = None
            continue
        found = subject.named(scene, target)
        if len(found) > 1 and not command.several:
            listed = ", ".join(f"{i} (project {project})" for i, project in found[:10])
            raise UsageError(f"{len(found)} {subject.type}s are called {target!r}: {listed}: name one by its id")
        if found:
            ids |= dict.fromkeys(subject_id for subject_id, _ in found)
        else:
            reason = f"no {subject.type} of this name was found"
            missing.append(Item(subject.type, target, target, "", None, Outcome.FAILED, None, reason))
    return list(ids), missing


def _bounded(run: Run, ids: list[str], limit: int, *, named: bool) -> list[Item]:
    """Bring all findings to their outcomes, unless they are more than the limit."""
    if not limit or len(ids) <= limit:
        return run.find_and_repair(ids, named=named)
    findings = run.find(ids, named=named)
    broken = [f for f in findings if f.planned is None or f.planned.repair]
    if len(broken) <= limit:
        return run.repair(findings)
    session.warn(
        f"{len(broken)} findings are more than --limit {limit}: nothing was changed; look at them, then repeat with a"
        " higher limit, or 0 for none"
    )
    return run.refuse(broken, f"{len(broken)} findings are more than --limit {limit}")


def kept_report(journal: journals.Journal, command: str, mode: Mode, started: str, items: list[Item], run: Stoppable) -> Report:
    """The report, which is also kept in the journal; a full disk must not swallow it."""
    report = Report(journal.run, command, mode, started, journals.now(), tuple(items), tuple(run.raised))
    try:
        journal.close(report.as_dict())
    except JournalError as e:
        session.warn(str(e))
        run.raised.append(e.exit_code)
        report = Report(journal.run, command, mode, started, report.finished, tuple(items), tuple(run.raised))
    return report


def recorders(journal: journals.Journal) -> Callable[[str], Recorder]:
    """Keeps each item's events in the journal, under the item's id."""
    return lambda item: lambda event, /, **data: journal.record(event, item=item, **data)


@contextmanager
def steady(run: Stoppable) -> Iterator[None]:
    """The first Ctrl-C, SIGTERM or SIGHUP lets what was begun come to its end and the report be written; the second
    ends the process where it stands, which the journal survives."""

    def stop(*_: object) -> None:
        if run.stop.is_set():
            raise KeyboardInterrupt
        run.stop.set()
        run.raised.append(ExitCode.INTERRUPTED)
        session.warn("interrupted: waiting for what was begun; once more ends it at once")

    with session.signals((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), stop):
        yield

