"""Reads the files of ``sql/`` and refuses whatever is not of their form.

A file is a header of ``-- key: value`` lines, an empty line, then statements, each after a ``-- rows: N`` line (``1``,
``0..1``, ``0..n``, ``1..n``; with ``, where the table exists`` for a table that not every release has). A fallback's statements
are ``SELECT ... FOR UPDATE`` (a lock), ``UPDATE`` with ``SET`` and ``WHERE`` each at the start of a line,
``DELETE FROM`` with ``WHERE`` at the start of a line: so the rows that it is about to change can be selected by the
statement's own WHERE, which must hold on the rows as they are before the run; or ``INSERT INTO table (columns)`` with
``SELECT`` and ``WHERE`` at the start of a line: so what it is about to make can be selected. A unique key of the table
must lie in those columns, which tells the new row from all others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from opsfix.errors import OpsfixError

_STATEMENT = re.compile(
    r"\A(?:(?P<lock>SELECT\s.+\sFOR UPDATE)"
    r"|UPDATE (?P<updated>\w+)\nSET .+?\n(?P<update_where>WHERE .+)"
    r"|DELETE FROM (?P<deleted>\w+)\n(?P<delete_where>WHERE .+)"
    r"|INSERT INTO (?P<made>\w+) \((?P<columns>\w+(?:, \w+)*)\)\nSELECT .+?\n(?P<insert_where>WHERE .+))\Z",
    re.DOTALL,
)
_ROWS = re.compile(r"\A(\d+)(?:\.\.(\d+|n))?(, where the table exists)?\Z")
_NEVER = re.compile(
    r"\b(FOREIGN_KEY_CHECKS|SQL_LOG_BIN|WSREP_ON|LOCK TABLES|CREATE|ALTER|DROP|TRUNCATE|RENAME|GRANT|INSERT|REPLACE|ON DUPLICATE)\b",
    re.IGNORECASE,
)
_COMMENTS = ("--", "#", "/*")
#: What sqlfluff needs to be told where it does not know FOR UPDATE; the only comment among statements.
_NOQA = " -- noqa: PRS"
_KEYS = frozenset({"database", "releases", "purpose", "params", "guard in sql", "guard by api", "rows", "kind", "scan"})


class SqlFileError(OpsfixError):
    """A file of ``sql/`` is missing or malformed: a defect of the installation, not of the cloud."""


@dataclass(frozen=True)
class Rows:
    """How many rows a statement must match: ``most`` None is any number."""

    least: int
    most: int | None

    def admits(self, count: int) -> bool:
        """Whether the count is as expected."""
        return count >= self.least and (self.most is None or count <= self.most)

    def __str__(self) -> str:
        if self.least == self.most:
            return str(self.least)
        return f"{self.least}..{'n' if self.most is None else self.most}"


@dataclass(frozen=True)
class Statement:
    """One statement. ``table`` and ``where`` are None for a lock and for a read; ``optional``: without its table it
    has nothing to do. ``columns`` are those of the rows that it makes; none for one that changes what is there."""

    text: str
    rows: Rows
    table: str | None = None
    where: str | None = None
    optional: bool = False
    columns: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether it changes rows."""
        return self.table is not None

    @property
    def image(self) -> str:
        """The query for the rows that it is about to change, whole; or for those that it is about to make."""
        if self.columns:
            return self.text.split("\n", 1)[1]
        return f"SELECT {self.table}.* FROM {self.table}\n{self.where}"


@dataclass(frozen=True)
class SqlFile:
    """A parsed file. ``params`` maps each named parameter to the fact that it takes its value from; ``rows`` is the
    least number of rows that it changes."""

    name: str
    database: str
    releases: str
    params: dict[str, str]
    guards_in_sql: tuple[str, ...]
    guards_by_api: tuple[str, ...]
    rows: int
    reads: bool
    statements: tuple[Statement, ...]
    scan: str | None = None


def directory() -> Path:
    """Where the files are: inside an installed package, else beside the package in a checkout."""
    here = Path(__file__).resolve().parent
    return next((d for d in (here / "sql", here.parent / "sql") if d.is_dir()), here / "sql")


@cache
def load(name: str) -> SqlFile:
    """The file ``sql/NAME.sql``; raises SqlFileError for one that is missing or malformed."""
    path = directory() / f"{name}.sql"
    try:
        return parse(name, path.read_text(encoding="utf-8"))
    except OSError as e:
        raise SqlFileError(f"{path} cannot be read ({e.strerror}): reinstall opsfix") from e


def parse(name: str, text: str) -> SqlFile:
    """Parse a file's text; raises SqlFileError that says which line or key is wrong."""
    if "\n\n" not in text:
        raise SqlFileError(f"sql/{name}.sql: no empty line after the header")
    head, body = text.split("\n\n", 1)
    keys = _header(name, head)
    reads = keys.get("kind", [""])[0] == "read"
    statements = tuple(_statements(name, body.replace(_NOQA, ""), reads))
    _check(name, keys, statements, reads)
    return SqlFile(
        name=name,
        database=keys["database"][0],
        releases=keys["releases"][0],
        params=_params(name, keys.get("params", [])),
        guards_in_sql=tuple(keys.get("guard in sql", [])),
        guards_by_api=tuple(keys.get("guard by api", [])),
        rows=sum(s.rows.least for s in statements if s.changes),
        reads=reads,
        statements=statements,
        scan=keys.get("scan", [None])[0],
    )


def _header(name: str, head: str) -> dict[str, list[str]]:
    keys: dict[str, list[str]] = {}
    for line in head.splitlines():
        key, colon, value = line.removeprefix("--").strip().partition(":")
        if not line.startswith("--") or not colon or key not in _KEYS:
            raise SqlFileError(f"sql/{name}.sql: not a header line: {line!r}")
        keys.setdefault(key, []).append(value.strip())
    return keys


def _params(name: str, lines: list[str]) -> dict[str, str]:
    params: dict[str, str] = {}
    for part in (p.strip() for line in lines for p in line.split(",")):
        param, equals, fact = (s.strip() for s in part.partition("="))
        if not equals or not fact:
            raise SqlFileError(f"sql/{name}.sql: params: {part!r} is not 'name = fact'")
        params[param] = fact
    return params


def _statements(name: str, body: str, reads: bool) -> list[Statement]:
    found = []
    for chunk in filter(None, (c.strip() for c in body.split(";"))):
        note, _, text = chunk.partition("\n")
        rows = _ROWS.match(note.removeprefix("-- rows:").strip())
        if not note.startswith("-- rows:") or not rows:
            raise SqlFileError(f"sql/{name}.sql: a statement must follow a '-- rows: N' line, not {note!r}")
        least, most = int(rows[1]), rows[2]
        expected = Rows(least, None if most == "n" else int(most or least))
        statement = _statement(name, text.strip(), expected, reads)
        found.append(replace(statement, optional=bool(rows[3])))
    return found


def _statement(name: str, text: str, rows: Rows, reads: bool) -> Statement:
    literals, bare = re.findall(r"'([^']*)'", text), re.sub(r"'[^']*'", "''", text)
    if _NEVER.search(bare.removeprefix("INSERT INTO ")) or any(c in bare for c in _COMMENTS) or any(":" in word for word in literals):
        raise SqlFileError(f"sql/{name}.sql: a statement holds what none may: {text[:60]!r}")
    if reads:
        if not text.startswith("SELECT ") or "FOR UPDATE" in text:
            raise SqlFileError(f"sql/{name}.sql: a read is a plain SELECT")
        return Statement(text, rows)
    m = _STATEMENT.match(text)
    if not m:
        raise SqlFileError(f"sql/{name}.sql: neither a lock, an UPDATE, a DELETE nor an INSERT of the known form: {text[:60]!r}")
    columns = tuple(m["columns"].split(", ")) if m["columns"] else ()
    where = m["update_where"] or m["delete_where"] or m["insert_where"]
    return Statement(text, rows, m["updated"] or m["deleted"] or m["made"], where, columns=columns)


def _check(name: str, keys: dict[str, list[str]], statements: tuple[Statement, ...], reads: bool) -> None:
    for key in ("database", "releases", "kind" if reads else "rows"):
        if len(keys.get(key, [])) != 1:
            raise SqlFileError(f"sql/{name}.sql: the header needs exactly one '{key}'")
    if not reads and "kind" in keys:
        raise SqlFileError(f"sql/{name}.sql: kind is 'read' or not given")
    if reads and len(statements) != 1:
        raise SqlFileError(f"sql/{name}.sql: a read is one statement, not {len(statements)}")
    _check_rows(name, keys, statements, reads)
    if keys["database"][0] != name.rsplit(".", 1)[-1]:
        raise SqlFileError(f"sql/{name}.sql: the header's database is not that of the file's name")
    named = set(re.findall(r"(?<!:):(\w+)", " ".join(s.text for s in statements)))
    declared = set(_params(name, keys.get("params", [])))
    if named != declared:
        raise SqlFileError(f"sql/{name}.sql: parameters {sorted(named ^ declared)} are not both declared and used")


def _check_rows(name: str, keys: dict[str, list[str]], statements: tuple[Statement, ...], reads: bool) -> None:
    certain = [s.rows for s in statements if s.changes and s.rows.least]
    open_ended = any(rows.most is None for rows in certain)
    expected = str(Rows(sum(r.least for r in certain), None if open_ended else sum(r.least for r in certain)))
    if not reads and keys["rows"] != [expected]:
        raise SqlFileError(f"sql/{name}.sql: the header expects {keys['rows'][0]} rows, its statements {expected}")
    if not reads and not certain:
        raise SqlFileError(f"sql/{name}.sql: no statement says how many rows it must change")


def spoken(text: str, values: dict[str, object]) -> str:
    """A statement with its values in place of the parameters, for reading only: it is never sent."""

    def literal(match: re.Match[str]) -> str:
        value = values[match[1]]
        if value is None:
            return "NULL"
        if isinstance(value, (list, tuple)):
            return f"({', '.join(map(str, value))})"
        return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"

    return re.sub(r"(?<!:):(\w+)", literal, text)
