"""How a host is drained: the host is closed, then its servers go, a few at a time, until none is left or can go."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import replace

import click

from opsfix import journal as journals
from opsfix.cli import session
from opsfix.cli.repairing import Options, kept_report, lock, open_scene, recorders, steady
from opsfix.drains import DrainedHost, DrainedServers, to_move
from opsfix.engine.run import Run
from opsfix.errors import CloudRefused, CloudUnknown, ConfigError, DatabaseUnknown
from opsfix.model import Item, Mode, Outcome, Report
from opsfix.render import Progress, render_report
from opsfix.repairs import COMPUTE_DRAIN, COMPUTE_DRAIN_HOST
from opsfix.scene import Scene
from opsfix.secrets import masked

NAME = "compute drain"
DATABASES = ("nova_api", "nova")
#: The host is closed, or would be.
CLOSED = (Outcome.REPAIRED, Outcome.HEALTHY, Outcome.NEEDS_COMMIT)


def run_drain(ctx: click.Context, host: str, patience: float, options: Options) -> int:
    """Close the host, move its servers, verify, report; returns the exit code. ``patience``: seconds for one server."""
    settings = session.settings(ctx, workers=options.workers)
    root = journals.state_dir(settings["state_dir"])
    mode = options.mode
    with ExitStack() as held:
        scene, databases = open_scene(ctx, DATABASES, settings, options, held, aggregates=False)
        scene.deadline = patience
        if mode is not Mode.DRY_RUN:
            lock(root, scene, databases, held)
            mode = mode if _agreed(scene, host, options) else Mode.DRY_RUN
        journal = journals.Journal(root, NAME, str(mode), [masked(a) for a in sys.argv[1:]], scene.cloud.identity)
        progress = Progress()
        run = Run(DrainedServers(host), COMPUTE_DRAIN, scene, mode, recorders(journal), settings["workers"], progress)
        started = journals.now()
        with steady(run):
            items = _drained(run, host)
            progress.end()
            report = kept_report(journal, NAME, mode, started, items, run)
            session.write(render_report(report, options.output))
    return int(report.exit_code)


def _drained(run: Run, host: str) -> list[Item]:
    """The items of the host and of all its servers; of those that were on their way to it as it was closed, too."""
    items = replace(run, subject=DrainedHost(), repairs=COMPUTE_DRAIN_HOST).find_and_repair([host], named=True)
    if items[0].outcome is Outcome.FAILED and items[0].finding is None:
        return items
    seen: set[str] = set()
    while (found := _found(run.scene, host) - seen) and not run.ended:
        seen |= found
        if items[0].outcome in CLOSED:
            items += run.find_and_repair(found, named=True)
        else:
            items += run.refuse(run.find(found, named=True), f"its host is not closed: {items[0].reason}")
    return items


def _found(scene: Scene, host: str) -> set[str]:
    try:
        return to_move(scene, host)
    except (CloudRefused, CloudUnknown, DatabaseUnknown) as e:
        raise ConfigError(f"the servers of {host} cannot be listed: {e}") from e


def _agreed(scene: Scene, host: str, options: Options) -> bool:
    """Show the plan on a terminal and ask once, where servers would be made anew; a no leaves a dry run."""
    if host not in scene.fenced or options.yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    shown = Run(DrainedServers(host), COMPUTE_DRAIN, scene, Mode.DRY_RUN, lambda _: lambda *_, **__: None)
    items = _drained(shown, host)
    if not any(item.outcome is Outcome.NEEDS_COMMIT for item in items):
        return True
    report = Report("plan", NAME, Mode.DRY_RUN, journals.now(), journals.now(), tuple(items))
    click.echo(render_report(report, "table"), err=True)
    return click.confirm("Do this?", err=True)
