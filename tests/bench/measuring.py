"""Runs commands and measures them, and keeps the figures for the table in the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
OPSFIX = str(BIN / "opsfix")
#: Starts the command and waits for it. A process of its own: the peak of a program's memory includes that of the process
#: which forked it, so a big pytest must not be its parent.
_RUNNER = """
import json, os, sys, time
out, stdout, stderr, *command = sys.argv[1:]
began = time.monotonic()
pid = os.fork()
if not pid:
    for name, fd in ((stdout, 1), (stderr, 2)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), fd)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.execvp(command[0], command)
_, status, used = os.wait4(pid, 0)
wall = time.monotonic() - began
with open(out, "w") as f:
    json.dump([wall, used.ru_utime, used.ru_stime, used.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)], f)
"""


@dataclass(frozen=True)
class Measured:
    """A finished command: seconds of wall, user and system time, peak memory in MiB, exit code and output."""

    wall: float
    user: float
    system: float
    peak: float
    code: int
    out: str
    err: str


def measure(command: Sequence[str], environ: Mapping[str, str] | None = None, *, may_exit: Sequence[int] = (0,)) -> Measured:
    """Run a command; another exit code than those expected is an error of the measurement."""
    with tempfile.TemporaryDirectory() as place:
        names = [str(Path(place) / n) for n in ("figures", "out", "err")]
        subprocess.run(
            [sys.executable, "-S", "-E", "-c", _RUNNER, *names, *command],
            env=dict(environ or os.environ), cwd=ROOT, check=True, timeout=1200,
        )
        figures, out, err = (Path(n).read_text() for n in names)
    done = Measured(*json.loads(figures), out, err)
    assert done.code in may_exit, f"{' '.join(command)} exited {done.code}:\n{done.out[-2000:]}\n{done.err[-2000:]}"
    return done


def alternately(times: int, *runs: Callable[[], Measured]) -> list[list[Measured]]:
    """Run each in turn, again and again, so that what else the machine does falls on all of them alike."""
    done: list[list[Measured]] = [[] for _ in runs]
    for _ in range(times):
        for run, results in zip(runs, done, strict=True):
            results.append(run())
    return done


def middle(runs: Sequence[Measured], of: Callable[[Measured], float] = lambda m: m.wall) -> float:
    """The median of one figure."""
    return median(of(m) for m in runs)


@dataclass
class Report:
    """The table: what was measured, the figure, the target where there is one, and whether it was met."""

    rows: list[tuple[str, str, str, str]] = field(default_factory=list)

    def title(self, text: str) -> None:
        """Begin a group of figures."""
        self.rows.append((text, "", "", ""))

    def figure(
        self, what: str, value: float, unit: str = "", *, digits: int = 2, most: float | None = None, least: float | None = None
    ) -> None:
        """Add a figure; ``most`` and ``least`` are targets and are not asserted."""
        limit = most if most is not None else least
        target = "" if limit is None else f"{'at most' if most is not None else 'at least'} {limit:g}{unit}"
        met = limit is None or (value <= limit if most is not None else value >= limit)
        self.rows.append((f"  {what}", f"{value:.{digits}f}{unit}", target, "" if limit is None else "met" if met else "MISSED"))

    def text(self) -> str:
        """The table."""
        rows = [("", "measured", "target", ""), *self.rows]
        widths = [max(len(r[n]) for r in rows) for n in range(4)]
        return "\n".join(
            f"{r[0]:<{widths[0]}}  {r[1]:>{widths[1]}}  {r[2]:<{widths[2]}}  {r[3]}".rstrip() for r in rows
        ) + "\n"
