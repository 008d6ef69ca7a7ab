"""The least rights that an account needs for the files of ``sql/``, as GRANT statements.

SELECT on each table that a file reads or locks, UPDATE on just the columns that one sets, DELETE where one deletes; and
the schema's version. What no file needs is not granted: no INSERT, no other column, no other table, no DDL. Undo puts
whole rows back: it needs INSERT where a file deletes, and UPDATE on whole rows where one sets.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from opsfix import sqlfile
from opsfix.errors import UsageError
from opsfix.releases import HEADS

_TABLE = re.compile(r"\b(?:FROM|JOIN|UPDATE)\s+`?(\w+)")
_ACCOUNT = re.compile(r"(?P<user>[^@'`\\\x00-\x1f]{1,80})(?:@(?P<host>[\w.:%/-]{1,255}))?\Z")


class Scope(StrEnum):
    """What an account is for."""

    READ = "read"
    REPAIR = "repair"
    UNDO = "undo"


@dataclass
class Rights:
    """What may be done with one table; it may be read in any case. ``columns`` may be changed, ``made`` given to new rows."""

    columns: set[str] = field(default_factory=set)
    delete: bool = False
    made: set[str] = field(default_factory=set)


@cache
def rights(service: str) -> dict[str, Rights]:
    """Table -> rights, over all files of one service's database."""
    found: dict[str, Rights] = {}
    names = sorted(path.name.removesuffix(".sql") for path in sqlfile.directory().glob(f"*.{service}.sql"))
    for statement in (s for name in names for s in sqlfile.load(name).statements):
        for table in _TABLE.findall(re.sub(r"'[^']*'", "''", statement.text)):
            found.setdefault(table, Rights())
        if statement.table and statement.text.startswith("DELETE "):
            found[statement.table].delete = True
        elif statement.table and statement.columns:
            found.setdefault(statement.table, Rights()).made |= set(statement.columns)
        elif statement.table:
            found[statement.table].columns |= set(_set_columns(statement.text))
    if found and service in HEADS:
        found["alembic_version"] = Rights()
    return found


def _set_columns(text: str) -> Iterator[str]:
    """The columns that an UPDATE sets: each stands before an = outside of parentheses, after SET or a comma."""
    listed = text.split("\nSET ", 1)[1].split("\nWHERE ", 1)[0]
    depth, begin = 0, 0
    for at, character in enumerate(listed + ","):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            yield listed[begin:at].partition("=")[0].strip().strip("`")
            begin = at + 1


def statements(service: str, database: str, tables: Container[str], account: str, scope: Scope) -> list[str]:
    """The GRANTs for one database: ``tables`` are those that it has, for not every release has all.

    Raises UsageError for an account that is not of the form USER or USER@HOST.
    """
    to = _quoted(account)
    return [
        f"GRANT {', '.join(_words(wanted, scope))} ON {_name(database)}.{_name(table)} TO {to};"
        for table, wanted in sorted(rights(service).items()) if table in tables
    ]


def _words(wanted: Rights, scope: Scope) -> Iterator[str]:
    yield "SELECT"
    if scope is Scope.READ:
        return
    if wanted.columns:
        yield "UPDATE" if scope is Scope.UNDO else f"UPDATE ({', '.join(map(_name, sorted(wanted.columns)))})"
    if scope is Scope.UNDO:
        yield from ("DELETE", "INSERT") if wanted.delete or wanted.made else ()
        return
    if wanted.delete:
        yield "DELETE"
    if wanted.made:
        yield f"INSERT ({', '.join(map(_name, sorted(wanted.made)))})"


def _quoted(account: str) -> str:
    match = _ACCOUNT.match(account)
    if not match:
        raise UsageError(f"{account!r} is no account of the form USER or USER@HOST")
    return f"'{match['user']}'@'{match['host'] or '%'}'"


def _name(text: str) -> str:
    return "`" + text.replace("`", "``") + "`"
