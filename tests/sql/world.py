"""One database filled for one case: what an SQL file is run against, and what it must have done in the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from opsfix.gateways.database import Database
from tests.sql import schema
from tests.sql.server import MariaDB, Row

#: Stands for the time at which a statement ran, UTC and to the second.
NOW = "the time of the statement"
#: When the rows of a case were last touched by their service.
LONG_AGO = datetime(2024, 2, 29, 23, 59, 58)  # noqa: DTZ001 - the services store naive UTC

Rows = dict[str, dict[Any, Row]]
#: table -> key of a row -> the columns that change, None for a row that goes; a New for one that comes, with all but its id.
Changes = dict[str, dict[Any, "Row | None"]]


@dataclass(frozen=True)
class New:
    """Stands for the key of a row that a run makes: the column of a unique key, and its value."""

    column: str
    value: Any

    def found(self, rows: Mapping[Any, Row]) -> Row | None:
        """The row among those of its table."""
        return next((row for row in rows.values() if row[self.column] == self.value), None)


@cache
def _database(service: str, url: str) -> Database:
    # A new connection costs more than a whole test: PyMySQL reads the system's certificates for each.
    return Database(service, url, pool=1)


def key_of(row: Mapping[str, Any]) -> Any:
    """What tells a row from the others of its table: its id, or all of it where there is no id, as with tags."""
    return row["id"] if "id" in row else tuple(row.values())


class World:
    """A database with named rows, the parameters for the file under test, and the changes that it must make."""

    def __init__(self, mariadb: MariaDB, release: str, service: str, tables: Iterable[str]):
        self.mariadb, self.release = mariadb, release
        there = schema.tables(release, service)
        self.url = mariadb.databases(release, {service: tuple(t for t in tables if t in there)})[service]
        self.database = _database(service, self.url)
        self.params: dict[str, Any] = {}
        self.expected: Changes = {}
        self._named: dict[str, tuple[str, Row]] = {}
        listed = mariadb.execute(self.url, "SHOW TABLES")
        self.tables = sorted({str(name) for row in listed for name in row.values()} - {"alembic_version"})

    def add(self, name: str, table: str, /, **values: Any) -> Row:
        """Insert a row and remember it by name."""
        row = self.mariadb.insert(self.url, table, **values)
        self._named[name] = (table, row)
        return row

    def __getitem__(self, name: str) -> Row:
        """The row of that name, as it was when it was added."""
        return self._named[name][1]

    def change(self, name: str, /, **values: Any) -> None:
        """Change columns of a named row, as somebody else would."""
        table, row = self._named[name]
        columns = ", ".join(f"`{column}` = %s" for column in values)
        self.mariadb.execute(self.url, f"UPDATE `{table}` SET {columns} WHERE id = %s", (*values.values(), row["id"]))

    def remove(self, name: str) -> None:
        """Delete a named row for good."""
        table, row = self._named[name]
        self.mariadb.execute(self.url, f"DELETE FROM `{table}` WHERE id = %s", (row["id"],))

    def expect(self, name: str, /, **columns: Any) -> None:
        """The run changes these columns of the row and no other."""
        table, row = self._named[name]
        self.expected.setdefault(table, {})[key_of(row)] = columns

    def expect_gone(self, name: str) -> None:
        """The run deletes the row for good."""
        table, row = self._named[name]
        self.expected.setdefault(table, {})[key_of(row)] = None

    def expect_new(self, table: str, unique: str, /, **columns: Any) -> None:
        """The run makes a row of these columns and an id."""
        self.expected.setdefault(table, {})[New(unique, columns[unique])] = columns

    def expect_untouched(self, name: str) -> None:
        """After all, the run leaves the row alone."""
        table, row = self._named[name]
        self.expected.get(table, {}).pop(key_of(row), None)

    def everything(self) -> Rows:
        """Every row of every table."""
        return {t: {key_of(row): row for row in self.mariadb.rows(self.url, t)} for t in self.tables}

    def checksums(self) -> dict[str, int]:
        """A checksum of every table: equal when nothing was changed."""
        return self.mariadb.checksums(self.url)

    def utc(self) -> datetime:
        """The server's time."""
        [row] = self.mariadb.execute(self.url, "SELECT UTC_TIMESTAMP() AS now")
        return row["now"]


def changed(before: Rows, changes: Changes, after: Rows, since: datetime, until: datetime) -> Rows:
    """All rows as they must be after the changes; where NOW is due, the time found when it is within the limits."""
    result = {table: dict(rows) for table, rows in before.items()}
    for table, rows in changes.items():
        for key, columns in rows.items():
            if columns is None:
                del result[table][key]
                continue
            found = (key.found(after[table]) if isinstance(key, New) else after[table].get(key)) or {}
            stamped = {c: _time(found.get(c), since, until) if v is NOW else v for c, v in columns.items()}
            if isinstance(key, New):
                result[table][found.get("id")] = {"id": found.get("id"), **stamped}
            else:
                result[table][key] = result[table][key] | stamped
    return result


def _time(found: Any, since: datetime, until: datetime) -> Any:
    in_time = isinstance(found, datetime) and since <= found <= until + timedelta(seconds=1)
    return found if in_time else f"a time from {since} to {until}"


class Recorder:
    """Keeps what the gateway records; calls ``then`` after an event of the given name."""

    def __init__(self, at: str = "", then: Any = None):
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self._at, self._then = at, then

    def __call__(self, event: str, /, **data: Any) -> None:
        self.events.append((event, data))
        if event == self._at:
            self._then()

    @property
    def names(self) -> list[str]:
        """The events in their order."""
        return [event for event, _ in self.events]

    def images(self, event: str) -> dict[tuple[str, Any], Row | None]:
        """The last images of an event: table and id -> row."""
        data = next(data for name, data in reversed(self.events) if name == event)
        return {(image["table"], key_of(image["key"])): image["row"] for image in data["images"]}
