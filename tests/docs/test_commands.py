"""Every command and option in the documents exists, and every command is in the documents."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from opsfix.cli import cli
from opsfix.config import SERVICE_FILES, SETTINGS
from opsfix.errors import PRECEDENCE, ExitCode
from tests.docs.documents import (
    COMMANDS,
    DOCUMENTS,
    README,
    RUNBOOKS,
    blocks,
    calls,
    commands,
    name,
    options,
    spans,
    table,
)

GLOBAL = options(cli)
EVERY_OPTION = GLOBAL.union(*(options(c) for c in COMMANDS.values()))
#: programs whose own options a document may show
FOREIGN = (
    "openstack ", "cinder ", "nova-manage ", "placement-manage ", "ipmitool ", "python3 ", "virsh ", "git ", "grep ", "glance-scrubber ",
    "sha256sum ", "zstd ",
)


def each_call() -> list[tuple[str, list[str]]]:
    return [(name(path), words) for path in DOCUMENTS for words in calls(path.read_text())]


def check(words: list[str]) -> None:
    """Follow the words through the real commands; whatever is not known fails."""
    given = list(words)
    while given and given[0].startswith("-"):
        option, _, value = given.pop(0).partition("=")
        assert option in GLOBAL, f"opsfix has no global option {option}"
        if not value and takes_value(cli, option):
            given.pop(0)
    command = next((tuple(given[:n]) for n in (3, 2, 1) if tuple(given[:n]) in COMMANDS), None)
    if command is None:
        assert not given or any(known[: len(given)] == tuple(given) for known in COMMANDS), f"no command {given}"
        return
    known = options(COMMANDS[command])
    for word in given[len(command) :]:
        if word == "--":
            break
        if re.match(r"\[?--?[a-z]", word):
            assert word.strip("[]").partition("=")[0] in known, f"{' '.join(command)} has no option {word}"


def takes_value(command: click.Command, option: str) -> bool:
    meant = [p for p in command.params if isinstance(p, click.Option) and option in p.opts]
    return any(not p.is_flag and not p.count for p in meant)


@pytest.mark.parametrize(("document", "words"), each_call(), ids=lambda v: v if isinstance(v, str) else " ".join(v))
def test_a_documented_call_exists(document: str, words: list[str]) -> None:
    check(words)


def test_a_call_that_does_not_exist_is_noticed() -> None:
    for words in ("volume unstik", "volume unstick --everything", "--cloud x volume unstick", "config check --all"):
        with pytest.raises(AssertionError):
            check(words.split())


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_an_option_named_in_the_text_exists(path: Path) -> None:
    named = {
        match for span in spans(path.read_text()) if not span.startswith(FOREIGN) and "opsfix" not in span
        for match in re.findall(r"(?:^|\s)(--[a-z][a-z-]+|-[a-zA-Z])\b", span)
    }
    assert named <= EVERY_OPTION, name(path)


def test_every_document_shows_a_call() -> None:
    assert calls(README.read_text())
    assert [path for path in RUNBOOKS if calls(path.read_text())]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_has_a_row_in_the_readme(words: tuple[str, ...]) -> None:
    rows = [row[0].strip("`").split() for row in table(README.read_text(), "command")]
    assert [row for row in rows if tuple(row[1 : 1 + len(words)]) == words]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_shows_examples_that_exist(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(cli, [*words, "--help"]).output
    examples = [line.strip() for line in shown.splitlines() if line.strip().startswith("opsfix ")]
    assert examples
    for example in examples:
        for part in example.split("   ")[0].split("&&"):
            check(shlex.split(part)[1:])


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_and_its_options_say_what_they_are(words: tuple[str, ...]) -> None:
    command = COMMANDS[words]
    assert command.help
    assert [p.name for p in command.params if isinstance(p, click.Option) and not p.help] == []


def test_the_options_of_repairs_are_in_the_readme() -> None:
    text = README.read_text()
    assert {o for o in EVERY_OPTION if f"`{o}" not in text} == set()


def test_the_exit_codes_are_those_of_opsfix() -> None:
    rows = table(README.read_text(), "code")
    assert [int(row[0]) for row in rows] == [int(code) for code in ExitCode]
    assert all(row[1] for row in rows)


def test_the_precedence_of_exit_codes_is_that_of_opsfix() -> None:
    assert f"the first of {', '.join(str(int(c)) for c in PRECEDENCE)} is used" in README.read_text()


def test_the_variables_are_those_that_opsfix_reads() -> None:
    documented = set(re.findall(r"OPSFIX_[A-Z_]+", README.read_text()))
    of_options = {p.envvar for c in (cli, *COMMANDS.values()) for p in c.params if str(p.envvar).startswith("OPSFIX_")}
    of_settings = {f"OPSFIX_{s.upper()}" for s in SETTINGS} | {f"OPSFIX_DATABASE_{d.upper()}" for d in SERVICE_FILES}
    assert documented == of_options | of_settings


def test_the_settings_are_those_that_opsfix_reads() -> None:
    shown = {match[1] for line in blocks(README.read_text()) if (match := re.match(r"(\w+) = (?!=)", line))}
    assert shown - set(SERVICE_FILES) == set(SETTINGS)
    assert {f"`{d}`" for d in SERVICE_FILES} <= {f"`{s}`" for s in spans(README.read_text())}


def test_the_tree_was_walked() -> None:
    assert ("volume", "unstick") in dict(commands())


def test_help_needs_neither_the_clients_nor_sql() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from opsfix.cli import cli\n"
        "assert CliRunner().invoke(cli, sys.argv[1:]).exit_code == 0\n"
        "heavy = {'sqlalchemy', 'openstack', 'pymysql', 'keystoneauth1', 'cinderclient', 'novaclient', 'oslo_config'}\n"
        "print(*heavy.intersection(sys.modules))\n"
    )
    groups = [list(words[:n]) for words in COMMANDS for n in range(len(words) + 1)]
    for words in [["--version"], *([*group, "--help"] for group in groups)]:
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "", words


@pytest.mark.parametrize("target", ["rehearse", "test"])
def test_the_readmes_two_commands_are_in_the_makefile(target: str) -> None:
    makefile = (README.parent / "Makefile").read_text()
    assert any(line.startswith(f"make {target} ") for line in blocks(README.read_text()))
    recipe = re.search(rf"^{target}:\n((?:\t.+\n)+)", makefile, re.MULTILINE)
    assert recipe
    for program in re.findall(r"^\t(tools/\w+)", recipe[1], re.MULTILINE):
        path = README.parent / program
        assert path.is_file()
        assert path.stat().st_mode & 0o100
