"""What reaches the terminal, and what reaches a program."""

from __future__ import annotations

import csv
import io
import json
import sys

import pytest
import yaml

from opsfix.cli import session
from opsfix.model import Item, Mode, Outcome, Report, Result, StepReport
from opsfix.render import flat, printable, render_report, structured, table

#: A tenant's name that clears the screen, starts a line, turns the text around, and was no UTF-8.
EVIL = "a\x1b[2Jb\r\nopsfix: all is well\u202ec\u2066\x9bd\udcff"
NAMED = "a?[2Jb opsfix: all is well?c??d?"


def report(**more: object) -> Report:
    """A run with one item that has this name everywhere."""
    step = StepReport("sql", f"UPDATE {EVIL}", Result.DRY_RUN, EVIL, 1, f"SELECT '{EVIL}';", ({"name": EVIL, "x": None},))
    item = Item("volume", EVIL, EVIL, "p", None, Outcome.NEEDS_COMMIT, "sql", f"because of {EVIL}", {}, (step,))
    return Report("run", "volume unstick", Mode.APPLY, "then", "now", (item,), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["table", "value"])
def test_nothing_obeys_a_tenants_name(form: str) -> None:
    shown = render_report(report(), form)
    assert all(c.isprintable() for line in shown.split("\n") for c in line)
    assert not any(line.startswith("opsfix: all") for line in shown.splitlines())  # a statement's lines are indented
    assert NAMED in table([{"name": EVIL}], ["name"])
    assert flat([{"name": EVIL}], ["name"], "value") == f"{NAMED}\n"


def test_programs_get_the_name_as_it_is() -> None:
    item = json.loads(render_report(report(), "json"))["items"][0]
    assert (item["name"], item["steps"][0]["detail"]) == (EVIL, EVIL)
    assert yaml.safe_load(structured({"name": EVIL[:-1]}, "yaml")) == {"name": EVIL[:-1]}
    rows = list(csv.reader(io.StringIO(flat([{"name": EVIL, "n": None}], ["name", "n"], "csv"), newline="")))
    assert rows == [["name", "n"], [EVIL, ""]]


@pytest.mark.parametrize("text", ["плотность 🐘 – “x”", "", "a b"])
def test_names_of_any_alphabet_are_shown(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", r"\u00e9 \ud83d\udc18 \udcff"), ("utf-8", "é 🐘 \\udcff")])
def test_a_terminal_that_cannot_show_a_name_gets_the_report(
    monkeypatch: pytest.MonkeyPatch, encoding: str, shown: str
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    name = "é 🐘 \udcff"
    session.write(structured({"name": name}, "json"))
    assert raw.getvalue().decode(encoding) == f'{{\n  "name": "{shown}"\n}}\n'
    assert json.loads(raw.getvalue()) == {"name": name}
