"""Patience for the engine's tests: a fake that has not settled at once never will."""

import pytest

from opsfix.engine import way
from tests.fakes.cloud import FakeCloud


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way, "SETTLES", 0.2)


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud()
