"""A MariaDB server as the SQL tests see it: fresh databases of any release, rows to start from, a fast reset."""

import itertools
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import DictCursor

from tests.sql import schema

Row = dict[str, Any]
Wanted = Mapping[str, Iterable[str] | None]

#: cell0 has the schema of every other cell, in a database of its own.
SAME_SCHEMA = {"nova_cell0": "nova"}


@dataclass(frozen=True)
class Created:
    """A database that this run made, and what is in it."""

    release: str
    schema: str
    tables: tuple[str, ...]


@dataclass
class MariaDB:
    """One running server, and an account on it that may do everything."""

    host: str
    port: int
    socket: Path
    user: str
    password: str
    _created: dict[str, Created] = field(default_factory=dict, repr=False)
    _kept: dict[tuple[Any, ...], dict[str, str]] = field(default_factory=dict, repr=False)
    _numbers: Any = field(default_factory=lambda: itertools.count(1), repr=False)

    def __post_init__(self) -> None:
        self._connection = pymysql.connect(
            unix_socket=str(self.socket),
            user=self.user,
            password=self.password,
            charset="utf8mb4",
            autocommit=True,
            client_flag=CLIENT.MULTI_STATEMENTS,
            cursorclass=DictCursor,
        )

    def close(self) -> None:
        """End the helper's own connection; databases and other connections stay."""
        self._connection.close()

    def reconnect(self) -> None:
        """Log in again, to a server that was restarted."""
        self.close()
        self.__post_init__()

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database, password included."""
        return f"mysql+pymysql://{self.user}:{quote(self.password)}@{self.host}:{self.port}/{database}?charset=utf8mb4"

    def create_databases(self, release: str, wanted: Wanted) -> dict[str, str]:
        """Make fresh databases and return the URL of each.

        `wanted` maps `cinder`, `nova`, `nova_cell0`, `nova_api`, ... to the tables that the test needs (what they
        refer to comes along), or to None for all of them.
        """
        return {name: self.url(self._create(release, name, tables)) for name, tables in wanted.items()}

    def databases(self, release: str, wanted: Wanted) -> dict[str, str]:
        """As create_databases, but the same request gets the same databases again, emptied."""
        key = (release, *((name, tables and tuple(tables)) for name, tables in wanted.items()))
        if key not in self._kept:
            self._kept[key] = self.create_databases(release, wanted)
        else:
            self.reset(*self._kept[key].values())
        return dict(self._kept[key])

    def drop(self, *targets: Any) -> None:
        """Remove databases that this server made, given by URL or engine."""
        for name in map(database_name, targets):
            self._run(f"DROP DATABASE `{name}`")
            del self._created[name]
        gone = set(map(database_name, targets))
        self._kept = {k: v for k, v in self._kept.items() if not gone & set(map(database_name, v.values()))}

    def reset(self, *targets: Any) -> None:
        """Delete every row but the alembic heads.  Counters of AUTO_INCREMENT go on."""
        for name in map(database_name, targets):
            tables = (table for table in self._created[name].tables if table != schema.VERSION_TABLE)
            deletes = ";".join(f"DELETE FROM `{name}`.`{table}`" for table in tables)
            self._run(f"SET foreign_key_checks = 0; {deletes}; SET foreign_key_checks = 1")

    def insert(self, target: Any, table: str, **values: Any) -> Row:
        """Insert one row and return it as stored.

        Columns that may not be NULL and have no default get a value that fits the type (a UUID, a number never used
        before, the current UTC time); `deleted` becomes 0 and `created_at` now, as the services write them.  A foreign
        key that may not be NULL is the caller's: make the parent first and name it.
        """
        name = database_name(target)
        description = self._description(name, table)
        unknown = set(values) - set(description["columns"])
        if unknown:
            raise KeyError(f"{table} of {self._created[name].release} has no column {', '.join(sorted(unknown))}")
        row = self._defaults(description, values) | values
        columns = ", ".join(f"`{column}`" for column in row)
        marks = ", ".join(["%s"] * len(row))
        with self._connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO `{name}`.`{table}` ({columns}) VALUES ({marks})", list(row.values()))
            if cursor.lastrowid and len(description["pk"]) == 1:
                row.setdefault(description["pk"][0], cursor.lastrowid)
        [stored] = self.rows(name, table, **{column: row[column] for column in description["pk"] or row})
        return stored

    def rows(self, target: Any, table: str, **where: Any) -> list[Row]:
        """The rows of a table whose columns equal the given values (None means NULL), in the order of the key."""
        name = database_name(target)
        test = " AND ".join(f"`{column}` <=> %s" for column in where) or "TRUE"
        order = ", ".join(f"`{column}`" for column in self._description(name, table)["pk"]) or "NULL"
        return self.execute(name, f"SELECT * FROM `{table}` WHERE {test} ORDER BY {order}", tuple(where.values()))

    def execute(self, target: Any, statement: str, parameters: Any = ()) -> list[Row]:
        """Run a statement (pymysql's %s or %(name)s parameters) in a database, committed at once."""
        self._connection.select_db(database_name(target))
        with self._connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return list(cursor.fetchall())

    def checksums(self, *targets: Any) -> dict[str, int]:
        """A checksum for each table, to prove that nothing was changed."""
        names = [f"`{name}`.`{table}`" for name in map(database_name, targets) for table in self._created[name].tables]
        with self._connection.cursor() as cursor:
            cursor.execute(f"CHECKSUM TABLE {', '.join(names)}")
            return {row["Table"]: row["Checksum"] for row in cursor.fetchall()}

    def _create(self, release: str, name: str, tables: Iterable[str] | None) -> str:
        origin = SAME_SCHEMA.get(name, name)
        wanted = None if tables is None else tuple(tables)
        database = f"{name}_{re.sub('[^a-z0-9]', '', release)}_{next(self._numbers)}"
        script = [f"CREATE DATABASE `{database}` CHARACTER SET utf8mb3", f"USE `{database}`"]
        self._run(";\n".join(script + schema.statements(release, origin, wanted)))
        self._created[database] = Created(release, origin, tuple(schema.select(release, origin, wanted)))
        return database

    def _run(self, script: str) -> None:
        # Every result has to be fetched: an error in a later statement only shows with its own result.
        with self._connection.cursor() as cursor:
            cursor.execute(script)
            while cursor.nextset():
                pass

    def _description(self, name: str, table: str) -> schema.Table:
        created = self._created[name]
        return schema.tables(created.release, created.schema)[table]

    def _defaults(self, description: schema.Table, given: Row) -> Row:
        columns = description["columns"].items()
        return {c: self._default(c, d) for c, d in columns if c not in given and _wants_value(c, d)}

    def _default(self, column: str, definition: str) -> Any:
        if column == "deleted":
            return 0
        kind, size = re.match(r"(\w+)(?:\((.*?)\))?", definition).groups()
        if kind in ("datetime", "timestamp"):
            return datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        if kind == "enum":
            return size.split(",")[0].strip("'")
        if kind == "tinyint":
            return 0
        if kind in ("int", "bigint", "float"):
            return next(self._numbers)
        return str(uuid.uuid4())[: int(size or 36)]


def _wants_value(column: str, definition: str) -> bool:
    if column in ("deleted", "created_at"):
        return True
    return "NOT NULL" in definition and "DEFAULT" not in definition and "AUTO_INCREMENT" not in definition


def database_name(target: Any) -> str:
    """The database that a URL, an SQLAlchemy URL or engine, or a plain name means."""
    url = getattr(target, "url", target)
    if not isinstance(url, str):
        return str(url.database)
    return urlsplit(url).path.lstrip("/") if "://" in url else url
