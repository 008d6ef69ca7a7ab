"""What comes of a diagnosis: the report, the figures for a monitoring system, and what the next one is compared with."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from opsfix import diagnosis, runbook, textfile
from opsfix import journal as journals
from opsfix.cli import session
from opsfix.cli.diagnosing import Check, Ground, checks, chosen, diagnose, opened
from opsfix.diagnosis import Diagnosis
from opsfix.errors import JournalError, UsageError
from opsfix.render import Progress, flat, printable, structured, table

COLUMNS = ("severity", "finding", "count", "oldest", "examples", "command")
#: The findings of the last run, beside the runs of repairs.
KEPT = "doctor.json"


@dataclass(frozen=True)
class Asked:
    """The options, as the command spells them."""

    only: tuple[str, ...]
    skip: tuple[str, ...]
    metrics: str | None
    since_last: bool
    older_than: timedelta
    workers: int | None
    output: str


def explained(name: str) -> None:
    """Print the runbook of a finding, or of a check."""
    of_checks = {c.name: c.runbook for c in checks()}
    prefix = {"forward": "forward", "backup": "db_backup", "database": "db_status", "image": "image_purge"}
    session.write(runbook.read(name, of_checks.get(name, ""), prefix.get(name.partition("-")[0], "")))


def run_doctor(ctx: click.Context, asked: Asked) -> int:
    """Look once; returns the exit code."""
    wanted = chosen(asked.only, asked.skip)
    with opened(ctx, asked.older_than, asked.workers) as ground:
        return _look(ground(), wanted, asked)


def watched(ctx: click.Context, asked: Asked, pause: timedelta) -> int:
    """Look again and again, until somebody ends it."""
    if not sys.stdout.isatty():
        raise UsageError("--watch is for a terminal: without one, run it from cron or a timer")
    wanted = chosen(asked.only, asked.skip)
    with opened(ctx, asked.older_than, asked.workers) as ground:
        while True:
            _look(ground(), wanted, asked, click.clear)
            session.write(f"looked at {datetime.now(UTC):%H:%M:%S} UTC, again in {pause.total_seconds():.0f} s; Ctrl-C ends it\n")
            time.sleep(pause.total_seconds())


def _look(ground: Ground, wanted: list[Check], asked: Asked, first: Callable[[], None] = lambda: None) -> int:
    progress = Progress()
    try:
        found = diagnose(ground, wanted, progress=progress)
    finally:
        progress.end()
    first()
    figures = diagnosis.metrics(found, {check.name: check.knows() for check in wanted})
    path = journals.state_dir(ground.settings["state_dir"]) / KEPT
    kept = _compared(path, ground.scene.cloud.identity, found) if asked.since_last else None
    session.write(_shown(found, asked.output))  # whatever becomes of the files
    if asked.metrics:
        _figures(Path(asked.metrics), figures)
    if kept is not None:
        _keep(path, kept)
    return int(found.exit_code)


def _figures(path: Path, text: str) -> None:
    try:
        textfile.replace(path, text)
    except OSError as e:
        raise UsageError(f"the metrics file {path} cannot be written: {e.strerror}") from None


def _compared(path: Path, cloud: str, found: Diagnosis) -> dict[str, Any]:
    """Take away what the last run had already; returns what is to be kept. What a check could not look at stays as it was."""
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        kept = {}
    except (OSError, ValueError) as e:
        session.warn(f"warning: {path} cannot be read ({e}): everything is told as new")
        kept = {}
    last = kept.get(cloud, {})
    before, failed = last.get("findings", []), {row["check"] for row in found.unchecked}
    looked = set(found.checks) - failed
    now = [[row["check"], *pair] for row in found.rows for pair in diagnosis.seen([row])]
    now += [entry for entry in before if entry[0] not in looked and entry not in now]
    found.since = last.get("started")
    found.rows = diagnosis.new(found.rows, [entry[1:] for entry in before])
    return kept | {cloud: {"started": found.started.isoformat(), "findings": now}}


def _keep(path: Path, kept: dict[str, Any]) -> None:
    try:
        journals.private(path.parent)
        textfile.replace(path, json.dumps(kept), 0o600)
    except OSError as e:
        raise JournalError(f"{path} cannot be written: {e.strerror}") from None


def _shown(found: Diagnosis, form: str) -> str:
    told = found.as_dict()
    if form in ("json", "yaml"):
        return structured(told, form)
    rows = [
        {**g, "oldest": _age(g["oldest_age"]), "examples": ", ".join(str(e["name"] or e["id"]) for e in g["examples"]),
         "command": g["command"] or g["examples"][0]["reason"]}
        for g in told["findings"]
    ]
    if form != "table":
        return flat(rows, COLUMNS, form)
    nothing = f"Nothing {'new ' if found.since else ''}is broken{', as far as could be seen' if found.unchecked else ''}.\n"
    text = table(rows, COLUMNS) if rows else nothing
    text += "".join(
        f"not checked: {printable(u['check'])}{printable(' ' + str(u['id'])) if u['id'] else ''}: {printable(u['reason'])}\n"
        for u in told["unchecked"]
    )
    text += "".join(f"note: {printable(n)}\n" for n in told["notes"])
    counts = ", ".join(f"{n} {s}" for s, n in told["summary"].items() if n) or "no findings"
    return f"{text}\n{counts}; {len(found.checks)} checks in {found.seconds:.0f} s, exit {told['exit_code']}\n"


def _age(seconds: int | None) -> str:
    """As people say it: 50s, 12m, 3h, 4d."""
    if seconds is None:
        return "-"
    size, unit = next((s for s in ((86400, "d"), (3600, "h"), (60, "m")) if seconds >= s[0]), (1, "s"))
    return f"{seconds // size}{unit}"
