"""Who is asked before a whole lot is removed, and which exit code a wrong file ends in."""

from __future__ import annotations

import sys
from dataclasses import replace

import click
import pytest

from opsfix.cli.forwarding import Options, _agreed, _told
from opsfix.errors import ExitCode, GuardError, TargetNotFound, UsageError
from opsfix.forwarding.changes import Batch, removals
from opsfix.forwarding.importing import Difference, Problem
from tests.fakes.forwarding import FakeCloud

OPTIONS = Options(dry_run=False, workers=None, yes=False, output="table")


@pytest.fixture
def going(cloud: FakeCloud) -> Difference:
    fip = cloud.network.fips["fip-7"]
    rows = [cloud.network.add_row(fip, cloud.network.port_rows["port-1"], n + 1, n + 1) for n in range(3)]
    return Difference(Batch.of(removals(fip, rows)), asks=True)


def ask(monkeypatch: pytest.MonkeyPatch, given: Difference, options: Options, *, terminal: bool, answer: bool | None) -> bool:
    def confirm(*_: object, **__: object) -> bool:
        assert answer is not None, "asked"
        return answer

    monkeypatch.setattr(sys, "stdin", type("In", (), {"isatty": lambda _: terminal})())
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(click, "confirm", confirm)
    return _agreed(given, options)


@pytest.mark.parametrize("answer", [True, False])
def test_a_terminal_is_asked_once_with_the_list_in_sight(
    going: Difference, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: bool
) -> None:
    assert ask(monkeypatch, going, OPTIONS, terminal=True, answer=answer) is answer
    shown = capsys.readouterr()
    assert shown.err.splitlines() == [f"- 198.51.100.7:{n}/tcp to 10.0.0.5:{n}" for n in (1, 2, 3)]
    assert shown.out == ""


def test_nobody_else_is_asked(going: Difference, monkeypatch: pytest.MonkeyPatch) -> None:
    for given, options, terminal in (
        (going, OPTIONS, False), (going, replace(OPTIONS, yes=True), True), (going, replace(OPTIONS, dry_run=True), True),
        (replace(going, asks=False), OPTIONS, True), (Difference(Batch({}), asks=True), OPTIONS, True),
    ):
        assert ask(monkeypatch, given, options, terminal=terminal, answer=None)


@pytest.mark.parametrize(("errors", "code"), [
    ([TargetNotFound("x")], ExitCode.FAILED), ([GuardError("x"), TargetNotFound("x")], ExitCode.FAILED),
    ([TargetNotFound("x"), UsageError("x")], ExitCode.USAGE), ([GuardError("x")], ExitCode.REFUSED),
])
def test_every_wrong_line_is_told_in_a_line(
    errors: list[UsageError], code: ExitCode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _told([Problem(n + 2, e) for n, e in enumerate(errors)]) == code
    assert capsys.readouterr().err.splitlines() == [f"opsfix: line {n + 2}: x" for n in range(len(errors))]
