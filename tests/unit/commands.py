"""The command line over a fake cloud: what an operator types, and what is shown."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from opsfix.cli import cli, main, repairing, session
from opsfix.errors import OpsfixError
from tests.fakes.cloud import FakeCloud
from tests.fakes.databases import FakeDatabases


@dataclass(frozen=True)
class Shown:
    """What a command ended with: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Shell:
    """Runs commands with a state directory of its own."""

    state: Path
    cloud: FakeCloud

    def __call__(self, *words: str) -> Shown:
        result = CliRunner().invoke(cli, ["--state-dir", str(self.state), *words], standalone_mode=True)
        error = result.exception
        if isinstance(error, OpsfixError):
            return Shown(int(error.exit_code), result.stdout, f"{result.stderr}{error}")
        if error is not None and not isinstance(error, SystemExit):
            raise error
        return Shown(result.exit_code, result.stdout, result.stderr)

    def json(self, *words: str) -> Any:
        """The JSON that a command shows, whatever its exit code."""
        return self(*words, "-o", "json").json

    @property
    def runs(self) -> list[str]:
        """The runs, newest first."""
        return [run["run"] for run in self.json("history")["runs"]]


def run(*words: str) -> Shown:
    """The real main, as a shell would call it, without a terminal."""
    before, out, err = sys.argv, io.StringIO(), io.StringIO()
    sys.argv = ["opsfix", *words]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = before
    return Shown(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def shell(monkeypatch: pytest.MonkeyPatch, state: Path, cloud: FakeCloud, *, databases: bool = False) -> Shell:
    """A command line for which this cloud is the cloud; ``databases``: with those behind it."""
    monkeypatch.setattr(FakeCloud, "connect", lambda _: None, raising=False)
    monkeypatch.setattr(session, "cloud", lambda *_: cloud)
    opened: Callable[..., Any] = lambda *_, **__: FakeDatabases(cloud) if databases else None  # noqa: E731
    monkeypatch.setattr(repairing, "open_databases", opened)
    monkeypatch.setattr(repairing, "prove", lambda c, *_, **__: (c.compute_services(), c.volume_services()))
    return Shell(state, cloud)
