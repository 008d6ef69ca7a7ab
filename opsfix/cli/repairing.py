"""The one way in which every repair command runs."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import click

from opsfix import journal as journals
from opsfix.cli import session
from opsfix.engine.run import Finding, Run, interrupted
from opsfix.errors import CloudRefused, CloudUnknown, ConfigError, UsageError
from opsfix.gateways.opening import cloud_lock, open_databases, prove_live
from opsfix.model import Item, Mode, Outcome, Report
from opsfix.ports import Recorder
from opsfix.render import Progress, render_report
from opsfix.repair import Repair
from opsfix.scene import Scene
from opsfix.secrets import masked
from opsfix.subject import Subject

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)


def run_repair(
    ctx: click.Context,
    command: str,
    subject: Subject,
    repairs: tuple[Repair, ...],
    find: Callable[[Scene], set[str]],
    targets: Sequence[str],
    *,
    databases: Sequence[str],
    everything: bool,
    dry_run: bool,
    commit: bool,
    older_than: timedelta,
    fenced: Sequence[str],
    limit: int,
    workers: int | None,
    yes: bool,  # noqa: ARG001  nothing here destroys, so nothing is asked
    output: str,
) -> int:
    """Find, plan, act, verify, fall back, verify, report; returns the exit code."""
    mode = _mode(dry_run, commit)
    _check_targets(command, targets, everything)
    settings = session.settings(ctx, workers=workers)
    cloud = session.cloud(ctx, settings)
    cloud.connect()
    with ExitStack() as held:
        root = journals.state_dir(settings["state_dir"])
        found = open_databases(settings, databases)
        if found is not None:
            held.callback(found.dispose)
        scene = Scene(cloud, found, older_than, frozenset(fenced), settings["deadline"])
        _prove(scene)
        if mode is not Mode.DRY_RUN:
            held.enter_context(journals.host_lock(root, cloud.identity))
            if found is not None:
                held.enter_context(cloud_lock(found))
        journal = journals.Journal(root, command, str(mode), _arguments(), cloud.identity)
        run = Run(subject, repairs, scene, mode, lambda item: _recorder(journal, item), settings["workers"], Progress())
        started = journals.now()
        with _terminable():
            items = _work(run, find, targets, limit)
        run.progress.end()  # type: ignore[attr-defined]
        report = Report(journal.run, command, mode, started, journals.now(), tuple(items), interrupted(run))
        journal.close(report.as_dict())
    session.write(render_report(report, output))
    return int(report.exit_code)


def _mode(dry_run: bool, commit: bool) -> Mode:
    if dry_run and commit:
        raise UsageError("--dry-run and --commit exclude each other")
    return Mode.DRY_RUN if dry_run else Mode.COMMIT if commit else Mode.APPLY


def _check_targets(command: str, targets: Sequence[str], everything: bool) -> None:
    if bool(targets) == everything:
        raise UsageError(f"name what to repair, or say --all (not both): see 'opsfix {command} --help'")
    if any(not target for target in targets):
        raise UsageError("an empty name names nothing")


def _prove(scene: Scene) -> None:
    """Everything that is configured must work, and be what it claims, before anything is changed."""
    try:
        computes, volumes = scene.cloud.compute_services(), scene.cloud.volume_services()
    except (CloudRefused, CloudUnknown) as e:
        raise ConfigError(f"the services cannot be listed: {e}: opsfix needs an administrator of a cloud that answers") from e
    for host in sorted(scene.fenced - {s.host for s in computes} - {part for s in volumes for part in (s.host, s.host.split("@")[0])}):
        click.echo(f"opsfix: warning: no service runs on {host}, which --fenced names: is it spelled as the services do?", err=True)
    if scene.databases is not None:
        scene.databases.check()  # type: ignore[attr-defined]
        prove_live(scene.databases, computes, volumes)  # type: ignore[arg-type]


def _work(run: Run, find: Callable[[Scene], set[str]], targets: Sequence[str], limit: int) -> list[Item]:
    missing: list[Item] = []
    try:
        if targets:
            ids, missing = _named(run, targets)
        else:
            ids = sorted(find(run.scene))
        if run.scene.databases is None or not run.scene.has("nova"):
            run.scene.list_mapped(ids)
    except CloudRefused as e:
        raise ConfigError(f"the cloud cannot be read: {e}: opsfix needs an administrator") from e
    except CloudUnknown as e:
        raise ConfigError(f"the cloud cannot be read: {e}") from e
    findings = run.find(ids, named=bool(targets))
    broken = [f for f in findings if f.planned is None or f.planned.repair]
    if limit and len(broken) > limit:
        click.echo(
            f"opsfix: {len(broken)} findings are more than --limit {limit}: nothing was changed;"
            " look at them, then repeat with a higher limit, or 0 for none", err=True,
        )
        return missing + run.refuse(broken, f"{len(broken)} findings are more than --limit {limit}")
    return missing + run.repair(findings)


def _named(run: Run, targets: Sequence[str]) -> tuple[list[str], list[Item]]:
    """The targets' ids, each once; a name that nothing has becomes a failed item."""
    ids: dict[str, None] = {}
    missing = []
    for target in targets:
        if UUID.match(target):
            ids[target.lower()] = None
            continue
        matches = [v for v in run.scene.cloud.volumes(name=target) if v.name == target]
        if len(matches) > 1:
            listed = ", ".join(f"{v.id} (project {v.project_id})" for v in matches[:10])
            raise UsageError(f"{len(matches)} {run.subject.type}s are called {target!r}: {listed}: name one by its id")
        if matches:
            ids[matches[0].id] = None
        else:
            missing.append(_not_found(run, target))
    return list(ids), missing


def _not_found(run: Run, target: str) -> Item:
    return Item(
        run.subject.type, target, target, "", None, Outcome.FAILED, None, f"no {run.subject.type} of this name was found"
    )


def _recorder(journal: journals.Journal, item: str) -> Recorder:
    return lambda event, /, **data: journal.record(event, item=item, **data)


def _arguments() -> list[str]:
    return [masked(a) for a in sys.argv[1:]]


@contextmanager
def _terminable() -> Iterator[None]:
    """A SIGTERM ends the run as Ctrl-C does: what was begun comes to its end, the report is written."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


__all__ = ["Finding", "run_repair"]
