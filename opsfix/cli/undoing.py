"""The way of an undo: the run's journal, the cloud and databases that it changed, then item by item in reverse."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Event

import click

from opsfix import history, journal
from opsfix.cli import session
from opsfix.cli.repairing import Options, kept_report, lock, open_scene, recorders, steady
from opsfix.errors import ExitCode, GuardError, TargetNotFound
from opsfix.history import AT_WORK, Past, SqlStep, Trace
from opsfix.model import Item, Mode, Outcome
from opsfix.render import Progress, render_report
from opsfix.secrets import masked
from opsfix.undo import Undoing, put_back

INTERRUPTED = "interrupted before anything was changed"


@dataclass
class _Run:
    stop: Event = field(default_factory=Event)
    raised: list[ExitCode] = field(default_factory=list)


def run_undo(ctx: click.Context, word: str, chosen: Sequence[str], *, commit: bool, output: str) -> int:
    """Show, or with ``commit`` do, the undo of a run; returns the exit code."""
    settings = session.settings(ctx)
    root = journal.state_dir(settings["state_dir"])
    past = history.find(root, word)
    if past.state == AT_WORK:
        raise GuardError(f"run {past.run} is still at work: wait for its end, or stop it with Ctrl-C")
    traces = _chosen(past, chosen)
    options = Options(not commit, commit, timedelta(0), (), 0, None, True, output)
    with ExitStack() as held:
        scene, databases = open_scene(ctx, _services(traces), settings, options, held, aggregates=_aggregates(traces))
        _same_cloud(past, scene.cloud.identity)
        if commit:
            lock(root, scene, databases, held)
        kept = journal.Journal(
            root, "undo", str(options.mode), [masked(a) for a in sys.argv[1:]], scene.cloud.identity, undoes=past.run
        )
        undoing = Undoing(scene.cloud, databases, options.mode, recorders(kept), settings["deadline"])
        started, run, progress = journal.now(), _Run(), Progress()
        with steady(run):
            items = _items(root, past, traces, undoing, run, progress)
            progress.end()
            report = kept_report(kept, "undo", options.mode, started, items, run)
            session.write(render_report(report, output))
    return int(report.exit_code)


def _chosen(past: Past, chosen: Sequence[str]) -> list[Trace]:
    """The items, that last begun first."""
    traces = past.traces()
    unknown = [item for item in chosen if item not in traces]
    if unknown:
        raise TargetNotFound(f"run {past.run} has no item {unknown[0]!r}: see 'opsfix history {past.run}'")
    return [t for t in reversed(traces.values()) if not chosen or t.id in chosen]


def _services(traces: Sequence[Trace]) -> list[str]:
    """The databases that were written to; nova's cells are found in nova_api."""
    services = {s.service for t in traces for s in t.steps if isinstance(s, SqlStep)}
    return sorted(services | ({"nova_api"} if "nova" in services else set()))


def _aggregates(traces: Sequence[Trace]) -> bool:
    return any(isinstance(s, SqlStep) and s.service == "nova_api" for t in traces for s in t.steps)


def _same_cloud(past: Past, identity: str) -> None:
    if past.meta["cloud"] != identity:
        raise GuardError(f"run {past.run} was on another cloud ({past.meta['cloud']}, this is {identity}): choose it with --os-cloud")


def _items(
    root: Path, past: Past, traces: Sequence[Trace], undoing: Undoing, run: _Run, progress: Progress
) -> list[Item]:
    done = history.undone(root, past)
    items = []
    for number, trace in enumerate(traces):
        if trace.id in done:
            reason = f"run {done[trace.id]} has put it back already: 'opsfix undo {done[trace.id]}' takes that back"
            items.append(_refused(trace, reason))
        elif run.stop.is_set():
            items.append(_refused(trace, INTERRUPTED))
        else:
            items.append(put_back(trace, undoing))
        progress("putting back" if undoing.mode is Mode.COMMIT else "looking", number + 1, len(traces))
    return items


def _refused(trace: Trace, reason: str) -> Item:
    return Item(trace.type or "item", trace.id, trace.name, "", trace.finding, Outcome.REFUSED, None, reason)
