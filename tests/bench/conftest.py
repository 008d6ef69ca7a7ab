"""The table of figures, and the rehearsal cloud that they are measured on; without it the measurements fail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.measuring import Report
from tests.functional.cloud import Lab

_report = Report()


@pytest.fixture
def report() -> Report:
    """Takes the figures; printed when all is done."""
    return _report


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A running lab, freshly filled."""
    lab = Lab(tmp_path_factory.mktemp("state"))
    lab.up()
    yield lab
    lab.end()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table; OPSFIX_BENCH_OUT names a file for it."""
    if not _report.rows:
        return
    terminalreporter.section("measured")
    terminalreporter.write(_report.text())
    if out := os.environ.get("OPSFIX_BENCH_OUT"):
        Path(out).write_text(_report.text())
