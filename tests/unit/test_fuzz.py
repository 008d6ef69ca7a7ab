"""Bad input of every kind ends in a line that says so and an exit code of the table: no defect, no traceback, no change.

Each fuzzer starts from something that is right and breaks it, for what is wrong from the beginning is refused at once.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsfix import sqlfile
from opsfix.config import SERVICE_FILES, SETTINGS, read_settings
from opsfix.errors import ConfigError, ExitCode
from opsfix.plans import seal
from opsfix.sqlfile import SqlFileError
from tests.docs.documents import COMMANDS
from tests.fakes.cloud import FakeCloud
from tests.unit.commands import Shown, run, shell
from tests.unit.driving import unchanged


def fuzzed(examples: int) -> settings:
    """So many examples, the same in every run."""
    return settings(
        max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
    )


#: No text of these names a place outside of the directory that the tests run in.
TEXT = st.text(st.characters(exclude_characters="/\x00", exclude_categories=("Cs",)), max_size=12)
ODD = st.sampled_from([
    "", "-", "--", "-o", "--all", "'", '"', "%s", "{x}", "\\", "\n", "\x1b[31m", "🐘", "None", "0", "-1", "1e400", "9" * 400, "../x", "NaN",
    "00000000-0000-4000-8000-000000000000", "1d", "99999999d", "0s", "5:5", "70000:1", "1-2:3", "a@b", "*", "json", "."
])  # fmt: skip


def assert_told(ended: Shown) -> None:
    """An exit code of the table, never a defect's; what opsfix itself says of an error is one line each."""
    assert ended.code in set(ExitCode) - {ExitCode.BUG, ExitCode.INTERRUPTED}, ended
    assert "Traceback" not in ended.out + ended.err
    assert "a defect of opsfix" not in ended.err
    if ended.code != ExitCode.OK:
        assert ended.err.strip() or ended.out.strip()


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCloud:
    """The cloud of every command line: two volumes that are in order."""
    made = FakeCloud()
    made.add_volume()
    made.add_volume()
    shell(monkeypatch, tmp_path / "state", made)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setenv("OPSFIX_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("OPSFIX_BACKUP_DIR", str(tmp_path / "backups"))
    monkeypatch.setenv("OPSFIX_SERVICES_CONF_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    return made


# arguments


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command with options of its own and of others, values that fit and values that do not."""
    words = list(draw(st.sampled_from(sorted(COMMANDS))))
    own = [p for p in COMMANDS[tuple(words)].params if isinstance(p, click.Option)]
    for option in draw(st.lists(st.sampled_from(own), max_size=4)) if own else []:
        words.append(draw(st.sampled_from(option.opts)))
        if not (option.is_flag or option.count):
            fitting = st.sampled_from(list(option.type.choices)) if isinstance(option.type, click.Choice) else st.just("3")
            words.append(draw(st.one_of(fitting, ODD, TEXT)))
    words += draw(st.lists(st.one_of(ODD, TEXT), max_size=3))
    return words if draw(st.booleans()) else draw(st.permutations(words))


@pytest.fixture
def _away(cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that ask for more than the fakes have end where they connect."""

    def refuse(_: Any) -> None:
        raise ConfigError("there is no cloud here")

    monkeypatch.setattr(FakeCloud, "connect", refuse)


@pytest.mark.usefixtures("_away")
@fuzzed(200)
@given(words=command_lines())
def test_arguments(cloud: FakeCloud, words: list[str]) -> None:
    with unchanged(cloud):
        assert_told(run(*words))


@fuzzed(60)
@given(names=st.lists(st.one_of(ODD, TEXT), min_size=1, max_size=3), more=st.lists(st.sampled_from(["--commit", "-y", "-ojson", "-ocsv"])))
def test_names_of_things_that_are_not_there(cloud: FakeCloud, names: list[str], more: list[str]) -> None:
    with unchanged(cloud):
        ended = run("volume", "unstick", *more, "--", *names)
        assert_told(ended)
        assert ended.code in (ExitCode.USAGE, ExitCode.FAILED)


# what is written in files


@st.composite
def broken(draw: st.DrawFn, texts: tuple[str, ...]) -> str:
    """One of these texts with a few pieces cut out, doubled, moved or replaced."""
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 3))):
        lines = text.split("\n")
        at = draw(st.integers(0, len(lines) - 1))
        how = draw(st.sampled_from(["drop", "double", "move", "replace", "cut", "insert"]))
        line = lines[at]
        if how == "drop":
            del lines[at]
        elif how == "double":
            lines.insert(at, line)
        elif how == "move":
            lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(at))
        elif how == "replace":
            lines[at] = draw(st.one_of(st.text(max_size=30), st.sampled_from(["", "--", "-- rows: 1", ";", "[x]", "="])))
        else:
            place = draw(st.integers(0, len(line)))
            piece = draw(st.one_of(TEXT, st.sampled_from(["'", ";", ":", "%", "--", "DROP TABLE x", "\n\n", "{", "]", "\\", '"'])))
            lines[at] = line[:place] + (piece + line[place:] if how == "insert" else "")
        text = "\n".join(lines)
    return text


SQL = {path.name.removesuffix(".sql"): path.read_text() for path in sqlfile.directory().glob("*.sql")}


@fuzzed(250)
@given(data=st.data())
def test_sql_files(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SQL)))
    text = data.draw(st.one_of(broken((SQL[name],)), st.text(max_size=200)))
    with contextlib.suppress(SqlFileError):
        assert_usable(sqlfile.parse(name, text), name)


def assert_usable(file: sqlfile.SqlFile, name: str) -> None:
    """It has the form that the transaction relies on, and holds nothing that no file may."""
    assert file.database == name.rsplit(".", 1)[-1]
    changes = [s for s in file.statements if not s.text.startswith("SELECT ")]
    assert all(s.text.startswith(("UPDATE ", "DELETE FROM ", "INSERT INTO ")) and s.where for s in changes)
    assert file.reads or file.rows
    bare = " ".join(re.sub(r"'[^']*'", "''", s.text.removeprefix("INSERT INTO ")) for s in file.statements)
    assert not re.search(r"\b(DROP|ALTER|CREATE|TRUNCATE|INSERT|GRANT|FOREIGN_KEY_CHECKS)\b|--|#|/\*", bare, re.IGNORECASE)


TOML = "\n".join([
    *(f"{name} = {json.dumps(default if default is not None else 'x')}" for name, (default, _) in SETTINGS.items()), "[databases]",
    *(f'{name} = "mysql+pymysql://u:tell-nobody@h:3306/{name}"' for name in SERVICE_FILES),
])  # fmt: skip
INI = """\
[DEFAULT]
my_ip = 10.0.0.1
[database]
# a comment
connection = mysql+pymysql://u:tell-nobody@$my_ip/x?charset=utf8
[api_database]
connection = x
"""


@fuzzed(200)
@given(text=st.one_of(broken((TOML,)), st.text(max_size=80)), raw=st.binary(max_size=3))
def test_configuration(cloud: FakeCloud, text: str, raw: bytes) -> None:
    path = Path("opsfix.toml")
    path.write_bytes(text.encode(errors="surrogatepass") + raw)
    with contextlib.suppress(ConfigError):
        read_settings({}, str(path), {"OPSFIX_SERVICES_CONF_DIR": str(Path.cwd())})
    ended = run("--config", str(path), "config", "show", "-o", "json")
    assert_told(ended)
    assert "tell-nobody@" not in ended.out


@fuzzed(60)
@given(text=st.one_of(broken((INI,)), st.text(max_size=80)))
def test_files_of_the_services(cloud: FakeCloud, text: str) -> None:
    for name in ("nova.conf", "cinder.conf"):
        Path(name).write_bytes(text.encode(errors="surrogatepass"))
    ended = run("config", "show")
    assert_told(ended)
    assert ended.code in (ExitCode.OK, ExitCode.CONNECTION)


# journals and plans


@pytest.fixture
def kept(cloud: FakeCloud, tmp_path: Path) -> Callable[[str, str], Path]:
    """Puts this text into a file of a run that was in order."""
    cloud.add_volume(status="attaching")
    assert run("volume", "unstick", "--all", "--older-than", "0s", "--dry-run", "--plan-out", "plan.json").code == 3
    assert run("volume", "unstick", "--all", "--older-than", "0s").code == 0
    newest = max((tmp_path / "state" / "runs").iterdir(), key=lambda p: (p / "run.json").stat().st_mtime)
    whole = {path.name: path.read_text() for path in newest.iterdir()} | {"plan.json": Path("plan.json").read_text()}

    def put(name: str, text: str) -> Path:
        for each, content in whole.items():
            (Path(each) if each == "plan.json" else newest / each).write_text(content)
        target = Path(name) if name == "plan.json" else newest / name
        target.write_bytes(text.encode(errors="surrogatepass"))
        return target

    return put


@fuzzed(30)
@given(data=st.data())
@pytest.mark.parametrize("name", ["run.json", "journal.jsonl", "report.json"])
def test_journals(cloud: FakeCloud, kept: Callable[[str, str], Path], name: str, data: st.DataObject) -> None:
    path = kept(name, "")
    original = kept("none.json", "").with_name(name).read_text()
    run_id = path.parent.name
    kept(name, data.draw(st.one_of(broken((original,)), changed_json(original), st.text(max_size=40))))
    with unchanged(cloud):
        for words in (["history"], ["history", run_id], ["history", run_id, "-o", "json"], ["undo", run_id]):
            assert_told(run(*words))


@fuzzed(60)
@given(data=st.data(), sealed=st.booleans())
def test_plans(cloud: FakeCloud, kept: Callable[[str, str], Path], data: st.DataObject, sealed: bool) -> None:
    original = kept("none.json", "") and Path("plan.json").read_text()
    text = data.draw(st.one_of(changed_json(original), broken((original,))))
    with contextlib.suppress(ValueError, AttributeError, TypeError):
        plan = json.loads(text)
        text = json.dumps(plan | {"hash": seal(plan)}) if sealed else text
    if text.strip() == original.strip() or json_equal(text, original):
        return
    kept("plan.json", text)
    with unchanged(cloud):
        assert_told(run("apply", "plan.json", "--dry-run"))
    if not sealed:
        with unchanged(cloud):
            ended = run("apply", "plan.json", "--commit")
            assert_told(ended)
            assert ended.code in (ExitCode.USAGE, ExitCode.REFUSED)


def json_equal(one: str, other: str) -> bool:
    """Whether both say the same, however they are written."""
    with contextlib.suppress(ValueError):
        return bool(json.loads(one) == json.loads(other))
    return False


@st.composite
def changed_json(draw: st.DrawFn, text: str) -> str:
    """The same documents, one a line or one alone, with one value somewhere in one of them replaced."""
    try:
        lines = [json.loads(text)]
    except ValueError:
        lines = [json.loads(line) for line in text.splitlines()]
    places = [place for line in lines for place in each_place(line)]
    if places:
        holder, key = draw(st.sampled_from(places))
        holder[key] = draw(st.one_of(
            st.none(), st.booleans(), st.integers(), TEXT, st.lists(st.none(), max_size=2), st.sampled_from([
                10**400, {}, {"$type": "datetime", "value": 3}, {"$type": "strange", "value": ""}, {"$type": []}, "2026-01-01",
            ]),
        ))  # fmt: skip
    return "\n".join(map(json.dumps, lines)) + "\n"


def each_place(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container with each of its keys, depth first."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from each_place(value[key])
