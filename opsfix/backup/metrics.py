"""What a monitoring system is told of backups: a file for Prometheus' textfile collector, whole or not there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from opsfix.backup.store import Backup
from opsfix.errors import BackupError
from opsfix.textfile import replace


@dataclass(frozen=True)
class Figures:
    """A run's end: the newest good backup there is now, how many are kept, and whether this run made it."""

    newest: Backup | None
    kept: int
    failed: bool


def write(path: Path, figures: Figures) -> None:
    """Put the figures in place of the file; raises BackupError when that is not possible."""
    try:
        replace(path, "".join(_lines(figures)))  # the collector is another user; nothing in it is secret
    except OSError as e:
        raise BackupError(f"the metrics file {path} cannot be written: {e.strerror}") from None


def _lines(figures: Figures) -> Iterator[str]:
    yield from _gauge("last_run_timestamp_seconds", "When a backup was last tried.", int(time.time()))
    yield from _gauge("last_run_failed", "1 when the last run made no good backup.", int(figures.failed))
    yield from _gauge("kept", "Good backups in the directory.", figures.kept)
    if figures.newest:
        finished = datetime.fromisoformat(str(figures.newest.manifest["finished"]))
        yield from _gauge("last_success_timestamp_seconds", "When the newest good backup was finished.", int(finished.timestamp()))
        yield from _gauge("duration_seconds", "How long the newest good backup took.", float(figures.newest.manifest["seconds"]))
        yield from _gauge("bytes", "Size of the newest good backup.", figures.newest.bytes)


def _gauge(name: str, text: str, value: float) -> Iterator[str]:
    yield f"# HELP opsfix_backup_{name} {text}\n# TYPE opsfix_backup_{name} gauge\nopsfix_backup_{name} {value}\n"
