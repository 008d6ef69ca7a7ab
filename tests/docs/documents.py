"""The README and the runbooks as text and code, and the real commands of opsfix."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from opsfix.cli import cli

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
RUNBOOKS = sorted((ROOT / "runbooks").glob("*.md"))
DOCUMENTS = [README, *RUNBOOKS]


def name(path: Path) -> str:
    """A document's path from the root, for test ids and messages."""
    return str(path.relative_to(ROOT))


def commands(group: click.Group = cli, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that can be run: its words and itself, groups left out."""
    context = click.Context(group)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*words, word))
        else:
            yield (words if word == getattr(group, "default", None) else (*words, word)), command


COMMANDS = dict(commands())


def options(command: click.Command) -> set[str]:
    """Every spelling of every option, the help option included."""
    context = click.Context(command, **command.context_settings)
    given = [p for p in command.get_params(context) if isinstance(p, click.Option)]
    return {spelling for option in given for spelling in (*option.opts, *option.secondary_opts)}


def blocks(text: str) -> list[str]:
    """The lines of indented code blocks."""
    return [line[4:] for line in text.splitlines() if line.startswith("    ")]


def spans(text: str) -> list[str]:
    """Inline code; it may go over the end of a line."""
    return [" ".join(s.split()) for s in re.findall(r"`([^`]+)`", re.sub(r"^    .*$", "", text, flags=re.MULTILINE))]


def calls(text: str) -> list[list[str]]:
    """Every call of opsfix in code, as words: up to a pipe, a redirection or a comment."""
    found = []
    for code in [*blocks(text), *spans(text)]:
        for match in re.finditer(r"(?:^|[\s/$(])opsfix((?: +[^\s|;&#>)]+)+)", code):
            words = match[1].split()
            if words[0].startswith("-") or words[0] in {w[0] for w in COMMANDS}:
                found.append(words)
    return found


def tables(text: str) -> list[list[list[str]]]:
    """Every table as rows of cells, its header first."""
    found = []
    for table in re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE):
        rows = [[c.strip() for c in re.split(r"(?<!\\)\|", row.strip().strip("|"))] for row in table.splitlines()]
        found.append([row for row in rows if not set("".join(row)) <= set("-: ")])
    return found


def table(text: str, header: str) -> list[list[str]]:
    """The rows of the table whose first heading is this, the header left out."""
    [found] = [t for t in tables(text) if t[0][0] == header]
    return found[1:]


def flat(text: str) -> str:
    """The text with its line ends and blanks as one blank each."""
    return " ".join(text.split())
