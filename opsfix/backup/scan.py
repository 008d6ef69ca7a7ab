"""Reads a dump as it goes by: which tables it has, how many rows, a digest of each table's rows, and whether it is whole.

The rows that a manifest speaks of are thereby those of the dump, whatever the server holds by then.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

_DATA_END = b"\nUNLOCK TABLES;\n"
_STRUCTURE = re.compile(rb"-- Table structure for table `(.*)`\n\Z")
_DATA = re.compile(rb"-- Dumping data for table `(.*)`\n\Z")
_LOCK = re.compile(rb"LOCK TABLES `(.*)` WRITE;\n\Z")
_MARK = b"-- Dump completed on "
_WORD = re.compile(rb"'((?:[^'\\]|\\.)*)'")
#: One row of an INSERT of many rows on one line, text and its quotes passed over.
_TUPLE = re.compile(rb"\((?:[^'()]|'(?:[^'\\]|\\.)*')*\)")
#: Found in half the time that counting two bytes takes.
_ROW = re.compile(rb"\n\(")
#: Tables that say which release a schema is of, and are small enough to be kept whole.
VERSION_TABLES = frozenset({"alembic_version", "migrate_version"})


def _by_line(data: bytes) -> int:
    """MariaDB writes each row of an INSERT on a line of its own, which begins with a parenthesis; text has no newline."""
    return len(_ROW.findall(data)) + data.startswith(b"(")


def _by_insert(data: bytes) -> int:
    """One INSERT a row, as asked for."""
    return data.count(b"\nINSERT INTO `") + data.startswith(b"INSERT INTO `")


def _by_tuple(data: bytes) -> int:
    """MySQL writes all rows of an INSERT on one line."""
    return sum(len(_TUPLE.findall(line.partition(b" VALUES ")[2])) for line in data.split(b"\n") if line.startswith(b"INSERT "))


#: How rows are told apart -> how those of a piece of whole lines are counted.
COUNTS: dict[str, Callable[[bytes], int]] = {"line": _by_line, "insert": _by_insert, "tuple": _by_tuple}


@dataclass
class Table:
    """A table as a dump has it; ``digest`` is the SHA-1 of the text of its rows, in hexadecimal."""

    name: str
    rows: int = 0
    digest: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For a manifest."""
        return {"name": self.name, "rows": self.rows, "digest": self.digest}


@dataclass
class Scan:
    """Takes a dump piece by piece. ``rows`` says how its rows are told apart, a key of COUNTS."""

    rows: str = "line"
    tables: dict[str, Table] = field(default_factory=dict)
    size: int = 0
    whole: bool = False
    _rest: bytes = b""
    _announced: bytes = b""
    _table: Table | None = None
    _hash: Any = None
    _kept: bytes = b""

    def feed(self, piece: bytes) -> None:
        """Take the next piece, of any length."""
        self.size += len(piece)
        end = piece.rfind(b"\n") + 1
        if not end:
            self._rest += piece
            return
        lines = b"".join((self._rest, memoryview(piece)[:end]))
        self._rest = piece[end:]
        while lines:
            lines = self._rows(lines) if self._table else self._outside(lines)

    def heads(self) -> list[str]:
        """The alembic heads in the dump, sorted; empty for a database that alembic does not keep."""
        return sorted({word.decode(errors="replace") for word in _WORD.findall(self._kept)})

    def _outside(self, lines: bytes) -> bytes:
        """Read up to where a table's rows begin; what follows is returned."""
        start = 0
        while start < len(lines):
            end = lines.index(b"\n", start) + 1
            self._line(lines[start:end])
            start = end
            if self._table:
                return lines[start:]
        return b""

    def _line(self, line: bytes) -> None:
        if line in (b"\n", b"--\n"):
            return
        self.whole = line.startswith(_MARK)
        announced, self._announced = self._announced, b""
        if found := _STRUCTURE.match(line):
            self._named(found[1])
        elif found := _DATA.match(line):
            self._announced = found[1]
        elif (found := _LOCK.match(line)) and found[1] == announced:
            self._table, self._hash = self._named(found[1]), hashlib.sha1(usedforsecurity=False)

    def _named(self, quoted: bytes) -> Table:
        name = quoted.replace(b"``", b"`").decode(errors="surrogateescape")
        return self.tables.setdefault(name, Table(name))

    def _rows(self, lines: bytes) -> bytes:
        """Count and digest a table's rows up to their end; what follows is returned."""
        assert self._table is not None
        at_once = lines.startswith(_DATA_END[1:])
        end = 0 if at_once else lines.find(_DATA_END) + 1
        data = b"" if at_once else lines[:end] if end else lines
        self._table.rows += COUNTS[self.rows](data)
        self._hash.update(data)
        if self._table.name in VERSION_TABLES:
            self._kept += b"".join(line for line in data.splitlines(keepends=True) if not line.startswith(b"/*"))
        if not end and not at_once:
            return b""
        self._table.digest = self._hash.hexdigest()
        self._table = None
        return lines[end + len(_DATA_END) - 1:]


_INSERT = re.compile(rb"INSERT INTO `((?:[^`]|``)*)` VALUES ?")


def rows_in(lines: Iterable[bytes], kind: str) -> Iterator[tuple[str, bytes]]:
    """Table and text of each row of a dump, its parentheses included; ``kind`` is a key of COUNTS."""
    table = ""
    for line in lines:
        if found := _INSERT.match(line):
            table = found[1].replace(b"``", b"`").decode(errors="surrogateescape")
            rest = line[found.end():]
            if kind == "tuple":
                yield from ((table, row) for row in _TUPLE.findall(rest))
            elif kind == "insert":
                yield table, rest.rstrip(b";\n")
        elif kind == "line" and table and line.startswith(b"("):
            yield table, line[:-2]
        else:
            table = ""
