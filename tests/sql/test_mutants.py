"""No condition of a fallback is there for nothing: without any one of them a test of its case fails.

The locks are left out here. They are for the order of waiting; every guard has to stand in the statement that changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from opsfix import sqlfile
from opsfix.errors import DatabaseRefused
from opsfix.sqlfile import SqlFile
from tests.sql.server import MariaDB
from tests.sql.test_fallbacks import CASES, HEALTHY, seeded
from tests.sql.world import Recorder, World, changed

#: A condition ends where the next begins, or the parenthesis or the statement around it ends.
AND = re.compile(r"\bAND\b|\bWHERE\b")


def without_locks(name: str) -> SqlFile:
    file = sqlfile.load(name)
    return replace(file, statements=tuple(s for s in file.statements if s.changes))


def conditions(text: str) -> Iterator[tuple[int, int]]:
    """Where each condition of a statement begins and ends, those of subqueries included."""
    for match in AND.finditer(text):
        depth, end = 0, match.end()
        while end < len(text):
            if depth == 0 and (text[end] == ")" or re.match(r"\bAND\b", text[end:])):
                break
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        yield match.end(), end


def mutants(name: str) -> Iterator[tuple[str, SqlFile]]:
    """The file with one condition after the other made true."""
    file = without_locks(name)
    for number, statement in enumerate(file.statements):
        for begin, end in conditions(statement.text):
            text = f"{statement.text[:begin]} TRUE {statement.text[end:]}"
            where = text[text.index("\nWHERE ") + 1 :]
            mutant = replace(statement, text=text, where=where)
            changed_file = (*file.statements[:number], mutant, *file.statements[number + 1 :])
            told = f"{statement.table}: {' '.join(statement.text[begin:end].split())}"
            yield told, replace(file, statements=changed_file)


EACH_MUTANT = [pytest.param(name, file, id=f"{name}-{told}") for name in CASES for told, file in mutants(name)]


@pytest.mark.parametrize(("name", "mutant"), EACH_MUTANT)
def test_a_condition_less_is_noticed(mariadb: MariaDB, name: str, mutant: SqlFile) -> None:
    world = seeded(mariadb, CASES[name].release, name)
    world.database.preview(mutant, world.params)  # still SQL: a syntax error would be a refusal as well
    assert any(noticed(mariadb, name, mutant))


@pytest.mark.parametrize("name", CASES)
def test_the_guards_hold_without_the_locks(mariadb: MariaDB, name: str) -> None:
    assert not any(noticed(mariadb, name, without_locks(name)))


def noticed(mariadb: MariaDB, name: str, file: SqlFile) -> Iterator[bool]:
    """Whether each test of the case would fail with this file in place of its own."""
    case = CASES[name]
    for variant in (HEALTHY, *case.variants):
        yield not repairs(seeded(mariadb, CASES[name].release, name, variant), file)
    for flip in case.flips:
        world = seeded(mariadb, CASES[name].release, name)
        flip.do(world)
        yield commits(world, file)


def commits(world: World, file: SqlFile) -> bool:
    try:
        world.database.commit(file, world.params, Recorder())
    except DatabaseRefused:
        return False
    return True


def repairs(world: World, file: SqlFile) -> bool:
    before, since = world.everything(), world.utc()
    if not commits(world, file):
        return False
    after = world.everything()
    return after == changed(before, world.expected, after, since, world.utc())
