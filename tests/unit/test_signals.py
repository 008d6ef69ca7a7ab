"""Who runs opsfix decides which signals it hears."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from opsfix.cli.session import signals


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """What a handler was called with; the process' own handlers are put back."""
    numbers = (signal.SIGHUP, signal.SIGTERM)
    before = [signal.signal(n, signal.SIG_DFL) for n in numbers]
    yield []
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_a_signal_is_handled_inside_only(heard: list[int]) -> None:
    with signals((signal.SIGHUP, signal.SIGTERM), lambda number, _: heard.append(number)):
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [signal.SIGHUP, signal.SIGTERM]
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_what_is_ignored_stays_ignored(heard: list[int]) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with signals((signal.SIGHUP,), lambda number, _: heard.append(number)):
        os.kill(os.getpid(), signal.SIGHUP)
    assert heard == []
