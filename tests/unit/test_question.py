"""What destroys shows its plan and asks once, on a terminal only."""

from __future__ import annotations

import sys
from datetime import timedelta

import click
import pytest

from opsfix.cli.repairing import Command, Options, _agreed
from opsfix.finders import stuck_volumes
from opsfix.repairs import VOLUME_UNSTICK
from opsfix.volumes import Volumes
from tests.fakes.cloud import FakeCloud
from tests.unit.driving import Driver, unchanged

COMMAND = Command("volume destroy", Volumes(), VOLUME_UNSTICK, stuck_volumes, (), destroys=True)


def options(*, dry_run: bool = False, yes: bool = False) -> Options:
    return Options(
        dry_run=dry_run, commit=False, older_than=timedelta(0), fenced=(), limit=50, workers=None, yes=yes, output="table"
    )


def ask(cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch, given: Options, *, terminal: bool, answer: bool | None) -> bool:
    """Whether the command would go on; ``answer`` None: a question is an error."""

    def confirm(*_: object, **__: object) -> bool:
        assert answer is not None, "asked"
        return answer

    monkeypatch.setattr(sys, "stdin", type("In", (), {"isatty": lambda _: terminal})())
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(click, "confirm", confirm)
    scene = Driver(cloud, databases=False).run().scene
    with unchanged(cloud):
        return _agreed(COMMAND, scene, sorted(cloud.world.volumes), ["data"], given, 2)


@pytest.mark.parametrize("answer", [True, False])
def test_a_terminal_is_asked_with_the_plan_in_sight(
    cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: bool
) -> None:
    volume = cloud.add_volume(status="detaching")
    assert ask(cloud, monkeypatch, options(), terminal=True, answer=answer) is answer
    shown = capsys.readouterr()
    assert volume in shown.err
    assert "[dry-run] cinder: reset volume" in shown.err
    assert not shown.out


@pytest.mark.parametrize(
    ("given", "terminal"), [(options(), False), (options(yes=True), True), (options(dry_run=True), True)]
)
def test_nobody_else_is_asked(cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch, given: Options, terminal: bool) -> None:
    cloud.add_volume(status="detaching")
    assert ask(cloud, monkeypatch, given, terminal=terminal, answer=None)


def test_where_nothing_would_be_done_nobody_is_asked(cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.add_volume()
    assert ask(cloud, monkeypatch, options(), terminal=True, answer=None)
