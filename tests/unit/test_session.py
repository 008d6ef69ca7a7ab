"""What is logged: by whom, with which words, and never a traceback that nobody asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from opsfix.cli import session

GIVEN = {"debug": False, "verbose": 0, "log_file": None}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    pool = logging.getLogger("sqlalchemy.pool")
    level = pool.level
    yield
    pool.setLevel(level)
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


def logged(name: str, capsys: pytest.CaptureFixture[str], **given: Any) -> str:
    """What stderr shows of an error that a library logs with its traceback."""
    session._logging(GIVEN | given)
    try:
        int("mysql://u:s3cret@h")
    except ValueError:
        logging.getLogger(name).exception("it failed", stack_info=True)
    return capsys.readouterr().err


def test_a_traceback_is_for_who_asked_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    shown = logged("openstack", capsys)
    assert shown.endswith(" ERROR openstack it failed\n")
    assert shown.count("\n") == 1
    shown = logged("openstack", capsys, debug=True)
    assert "Traceback" in shown
    assert "mysql://u:***@h" in shown
    assert "s3cret" not in shown


def test_lost_connections_are_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert logged("sqlalchemy.pool.impl.QueuePool", capsys) == ""
