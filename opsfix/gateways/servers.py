"""Database servers as a backup sees them: who may log in, what they hold, one moment for all of a server's databases."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from opsfix import sqlfile
from opsfix.config import SERVICE_FILES, Settings
from opsfix.errors import ConfigError, GuardError
from opsfix.gateways.database import Database, connect, connect_url, engine, shown
from opsfix.gateways.opening import open_databases
from opsfix.gateways.transaction import code, words

#: "Access denied; you need ... privilege" in its kinds.
_DENIED = frozenset({1044, 1045, 1142, 1143, 1227, 1370, 1698})
_WAITED = frozenset({1205, 3024, 4031})
_LINE = re.compile(r"\s*(?P<key>[\w-]+)\s*=\s*(?P<value>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^#]*)")


@dataclass(frozen=True)
class Account:
    """Where a server is and who logs in there; the words of ``options`` are those of the clients' option files."""

    host: str
    port: int
    user: str
    password: str = field(default="", repr=False)
    socket: str | None = None
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.user}@{self.socket or f'{self.host}:{self.port}'}"

    def url(self, database: str = "") -> sa.URL:
        """The same for our own connections."""
        query = dict(_QUERY_OF[name](value) for name, value in self.options)
        if self.socket:
            query["unix_socket"] = self.socket
        return connect_url(sa.URL.create(
            "mysql+pymysql", self.user, self.password or None, self.host, self.port, database, query,
        ).render_as_string(hide_password=False))


_QUERY_OF: dict[str, Callable[[str], tuple[str, str]]] = {
    "ssl-ca": lambda value: ("ssl_ca", value),
    "ssl-cert": lambda value: ("ssl_cert", value),
    "ssl-key": lambda value: ("ssl_key", value),
    "ssl-verify-server-cert": lambda _: ("ssl_mode", "VERIFY_IDENTITY"),
    "ssl": lambda _: ("ssl_mode", "REQUIRED"),
}


def account_of(url: sa.URL) -> Account:
    """The account that a database's URL names."""
    asked = {key: value for key, value in url.query.items() if isinstance(value, str)}
    options = [(f"ssl-{key}", asked[f"ssl_{key}"]) for key in ("ca", "cert", "key") if f"ssl_{key}" in asked]
    mode = asked.get("ssl_mode", "").upper()
    if mode.startswith("VERIFY") or asked.get("ssl_verify_identity", "").lower() == "true":
        options.append(("ssl-verify-server-cert", "1"))
    elif mode == "REQUIRED":
        options.append(("ssl", "1"))
    return Account(
        url.host or "localhost", url.port or 3306, url.username or "", url.password or "", asked.get("unix_socket"), tuple(options)
    )


def read_account(path: Path) -> Mapping[str, str]:
    """The [client] options of a clients' option file, such as /root/.my.cnf; raises ConfigError for one without any."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"the option file {path} cannot be read: {getattr(e, 'strerror', None) or 'it is no text'}") from None
    found: dict[str, str] = {}
    group = ""
    for line in lines:
        if line.strip().startswith("["):
            group = line.strip().strip("[]").lower()
        elif group in ("client", "client-server", "client-mariadb", "mariadb-dump", "mysqldump") and (match := _LINE.match(line)):
            found[match["key"].replace("_", "-")] = _value(match["value"])
    if not found.keys() & {"user", "password", "host", "socket"}:
        raise ConfigError(f"the option file {path} has no user, password, host or socket under [client]")
    return found


def _value(text: str) -> str:
    """As the clients read a value: without its quotes, their escapes undone."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1]
    known = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "s": " ", "\\": "\\", '"': '"', "'": "'"}
    return re.sub(r"\\(.)", lambda m: known.get(m[1], m[0]), text)


def with_options(account: Account, given: Mapping[str, str]) -> Account:
    """The account, as an option file changes it: user and password always, the place where the file names one."""
    port = given.get("port", str(account.port))
    if not port.isdigit():
        raise ConfigError(f"the option file has a port that is no number: {port!r}")
    moved = bool(given.keys() & {"host", "socket", "port"})
    tls = tuple((k, v or "1") for k, v in given.items() if k in _QUERY_OF)
    return Account(
        given.get("host", account.host), int(port), given.get("user", account.user), given.get("password", ""),
        given.get("socket") if moved else account.socket, tls or account.options,
    )


@dataclass(frozen=True)
class Place:
    """A database to back up: the service that it belongs to, its name on its server, and the account to reach it."""

    service: str
    database: str
    account: Account


def places(settings: Settings, given: Mapping[str, str] | None = None) -> list[Place]:
    """Every configured database, nova's cells by nova_api, each once.

    Raises ConfigError for one that is configured and cannot be read: a backup without it would only look whole.
    """
    for name in SERVICE_FILES:
        value = settings.databases.get(name)
        if value is not None and value.origin.startswith("not readable"):
            raise ConfigError(f"the connection of {name} is {value.origin}: a backup without it would not be whole")
    urls = [(name, connect_url(text)) for name in SERVICE_FILES if (text := settings.database(name))]
    urls += [("nova", cell) for cell in _cells(settings)]
    found: dict[tuple[str, int, str | None, str], Place] = {}
    for service, url in urls:
        account = account_of(url)
        account = with_options(account, given) if given else account
        if not url.database:
            raise ConfigError(f"the connection of {service}, {shown(url)}, names no database")
        found.setdefault((account.host, account.port, account.socket, url.database), Place(service, url.database, account))
    return list(found.values())


def _cells(settings: Settings) -> list[sa.URL]:
    if not settings.database("nova_api"):
        return []
    opened = open_databases(settings, ("nova_api", "nova"), read_only=True)
    if opened is None:
        return []
    try:
        return [database.url for database in opened.cells.values()]
    finally:
        opened.dispose()


@dataclass
class Moment:
    """One moment of a server, in which nothing can be committed, until ``end``; ``seconds`` is how long that was.

    While it lasts, ``position`` tells where the server's logs stand; ``sessions``, also afterwards, how many sessions each
    user has opened since; what the account cannot see is left out.
    """

    position: Callable[[], dict[str, Any]] = dict
    sessions: Callable[[], Counter[str]] = Counter
    end: Callable[[], None] = lambda: None
    seconds: float | None = None


class Server:
    """One server through one account; every question raises ConfigError when the server cannot answer it."""

    def __init__(self, account: Account):
        self.account = account
        self._engine = engine(account.url(), str(self), poolclass=sa.QueuePool, pool_size=1, pool_pre_ping=True)
        first = self.rows("SELECT @@version AS version, @@hostname AS host, @@port AS port, @@datadir AS datadir")[0]
        self.version = str(first.pop("version"))
        self.is_mariadb = "mariadb" in self.version.lower()
        self.identity = tuple(first.values())

    def __str__(self) -> str:
        return str(self.account)

    @contextmanager
    def _session(self) -> Iterator[sa.Connection]:
        try:
            with connect(self._engine, str(self)) as connection:
                yield connection
        except exc.DBAPIError as e:
            how = "refuses it" if 1000 <= code(e) < 2000 else "does not answer"  # from 2000 on the driver speaks
            raise ConfigError(f"the server {self} {how}: {words(e)}") from None

    def check_in_sync(self) -> None:
        """On Galera: ready, in the primary component, synced; raises GuardError otherwise."""
        url = self.account.url().render_as_string(hide_password=False)
        Database("the server", url, pool=1).check_in_sync()

    def rows(self, text: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Read; raises ConfigError."""
        with self._session() as connection:
            return [dict(r._mapping) for r in connection.execute(sa.text(text), params or {})]

    def variables(self, *names: str) -> dict[str, str]:
        """Global variables of these names, those that the server has."""
        rows = self.rows("SHOW GLOBAL VARIABLES")
        return {str(r["Variable_name"]): str(r["Value"]) for r in rows if str(r["Variable_name"]) in names}

    def may_read_grants(self) -> bool:
        """Whether the account can read the tables of accounts and grants."""
        try:
            with self._session() as connection:
                connection.exec_driver_sql("SELECT 1 FROM mysql.db LIMIT 1").all()
        except ConfigError:
            return False
        return True

    def tables(self, database: str) -> dict[str, tuple[str, int, int]]:
        """The tables of a database, each with its engine and, by the server's estimate, the bytes and number of its rows.

        Views and sequences are left out.
        """
        rows = self.rows(
            "SELECT TABLE_NAME AS name, ENGINE AS engine, DATA_LENGTH AS bytes, TABLE_ROWS AS n FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = :database AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')", {"database": database},
        )
        return {str(r["name"]): (str(r["engine"]), int(r["bytes"] or 0), int(r["n"] or 0)) for r in rows}

    def columns(self, database: str) -> set[tuple[str, str]]:
        """The types of a database's columns, each with its character set, "" for none."""
        rows = self.rows(
            "SELECT DISTINCT DATA_TYPE AS type, COALESCE(CHARACTER_SET_NAME, '') AS charset FROM information_schema.COLUMNS"
            " WHERE TABLE_SCHEMA = :database", {"database": database},
        )
        return {(str(r["type"]).lower(), str(r["charset"])) for r in rows}

    def status(self, *patterns: str) -> dict[str, str]:
        """Status variables whose names fit one of the patterns."""
        found: dict[str, str] = {}
        for pattern in patterns:
            rows = self.rows("SHOW GLOBAL STATUS LIKE :pattern", {"pattern": pattern})
            found |= {str(r["Variable_name"]): str(r["Value"]) for r in rows}
        return found

    def heads(self, database: str) -> list[str]:
        """The alembic heads of a service's database."""
        with self._session() as connection:
            connection.exec_driver_sql(f"USE {quoted(database)}")
            return [str(head) for head in connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars()]

    def count(self, name: str, database: str) -> int:
        """The number that a read of sql/ answers, asked in a database."""
        with self._session() as connection:
            connection.exec_driver_sql(f"USE {quoted(database)}")
            return int(connection.execute(sa.text(sqlfile.load(name).statements[0].text)).scalar_one())

    def created_as(self, database: str) -> dict[str, str] | None:
        """A database's character set and collation, None when it does not exist or cannot be seen."""
        rows = self.rows(
            "SELECT DEFAULT_CHARACTER_SET_NAME AS charset, DEFAULT_COLLATION_NAME AS collation"
            " FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = :database", {"database": database},
        )
        return {k: str(v) for k, v in rows[0].items()} if rows else None

    def create_database(self, database: str, created_as: Mapping[str, str] | None) -> None:
        """Make an empty database with the character set and collation given."""
        settings = dict(created_as or {"charset": "utf8mb4"})
        if any(not re.fullmatch(r"\w+", value) for value in settings.values()):
            raise ConfigError(f"the character set of {database} is not one: {settings}")
        collation = f" COLLATE {settings['collation']}" if "collation" in settings else ""
        with self._session() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {quoted(database)} CHARACTER SET {settings['charset']}{collation}")

    def drop_database(self, database: str) -> None:
        """Remove a database and all that is in it."""
        with self._session() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {quoted(database)}")

    def sees_all_sessions(self) -> bool:
        """Whether the account sees the sessions of others."""
        rows = self.rows(
            "SELECT COUNT(*) AS n FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'PROCESS'"
            " AND REPLACE(GRANTEE, CHAR(39), '') = CURRENT_USER()"
        )
        return bool(rows[0]["n"])

    def sessions_in(self, database: str) -> int:
        """How many other sessions use the database now."""
        rows = self.rows(
            "SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE DB = :database AND ID <> CONNECTION_ID()",
            {"database": database},
        )
        return int(rows[0]["n"])

    def heartbeat_age(self, service: str, database: str) -> int | None:
        """Seconds since the newest heartbeat of a service's database; None when it has none."""
        text = sqlfile.load(f"read_heartbeats.{service}").statements[0].text
        with self._session() as connection:
            connection.exec_driver_sql(f"USE {quoted(database)}")
            seen = [row.seen for row in connection.execute(sa.text(text)) if row.seen]
            now = connection.exec_driver_sql("SELECT UTC_TIMESTAMP()").scalar()
        return int((now - max(seen)).total_seconds()) if seen and now else None

    @contextmanager
    def desynced(self) -> Iterator[None]:
        """Let a Galera node fall behind without slowing the cluster."""
        with self._session() as connection:
            try:
                connection.exec_driver_sql("SET GLOBAL wsrep_desync = ON")
            except exc.DBAPIError as e:
                raise GuardError(f"{self} cannot be desynced: {words(e)}") from None
            try:
                yield
            finally:
                with suppress(exc.DBAPIError), self._session() as last:
                    last.exec_driver_sql("SET GLOBAL wsrep_desync = OFF")

    @contextmanager
    def still(self, wait: int) -> Iterator[Moment]:
        """Hold every commit back until the moment's end, that of the block at the latest.

        On MariaDB by a backup stage, which waits for no reader and for no statement at work; else by the global read
        lock. Raises GuardError when it is not to be had within ``wait`` seconds or the account may not.
        """
        moment = Moment()
        patient = engine(self.account.url(), str(self), seconds=wait + 60, poolclass=sa.NullPool)
        with connect(patient, str(self)) as connection:
            began = self._stop(connection, wait)

            def end() -> None:
                if moment.seconds is None:
                    with suppress(exc.DBAPIError):
                        connection.exec_driver_sql("BACKUP STAGE END" if self._staged else "UNLOCK TABLES")
                    moment.seconds = round(time.monotonic() - began, 4)

            try:
                moment.sessions = lambda: _sessions(connection)
                moment.position = lambda: _position(connection, _POSITIONS[self.is_mariadb])
                moment.end = end
                yield moment
            finally:
                end()
                connection.invalidate()  # closing it lets go as well, whatever came of the statement

    @property
    def _staged(self) -> bool:
        found = re.match(r"(?:5\.5\.5-)?(\d+)\.(\d+)", self.version)
        return self.is_mariadb and found is not None and (int(found[1]), int(found[2])) >= (10, 5)

    def _stop(self, connection: sa.Connection, wait: int) -> float:
        """Stop commits; the time from which on they wait."""
        try:
            connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {int(wait)}")
            if not self._staged:
                began = time.monotonic()
                connection.exec_driver_sql("FLUSH TABLES WITH READ LOCK")
                return began
            connection.exec_driver_sql("BACKUP STAGE START")
            connection.exec_driver_sql("BACKUP STAGE BLOCK_DDL")
            began = time.monotonic()
            connection.exec_driver_sql("BACKUP STAGE BLOCK_COMMIT")
            return began
        except exc.DBAPIError as e:
            if code(e) in _DENIED:
                raise GuardError(
                    f"{self} may not hold commits back for one moment over all databases ({words(e)}): GRANT RELOAD,"
                    " PROCESS ON *.*, or name an account that may with --defaults-file, or take each database at a moment"
                    " of its own with --no-lock"
                ) from None
            if code(e) in _WAITED:
                raise GuardError(
                    f"{self}: commits could not be held back within {wait} s: a long change of a table, or another backup,"
                    " is at work (SHOW PROCESSLIST): nothing was backed up; try later, or raise --lock-wait"
                ) from None
            raise

    def dispose(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _position(connection: sa.Connection, questions: Mapping[str, tuple[str, ...] | None]) -> dict[str, Any]:
    """Where the binary log, the GTIDs and Galera stand; what is off or may not be read is left out."""
    found: dict[str, Any] = {}
    for text, names in questions.items():
        with suppress(exc.DBAPIError):
            for row in connection.exec_driver_sql(text).all():
                found |= dict(zip(names or (row[0],), row if names else row[1:], strict=False))
    return {k: v for k, v in found.items() if v not in ("", None)}


def quoted(name: str) -> str:
    """A name as an identifier in a statement of the server's own language, in which names cannot be parameters."""
    return "`{}`".format(name.replace("`", "``").replace("%", "%%"))


def _sessions(connection: sa.Connection) -> Counter[str]:
    """How many sessions opened after this one each user has."""
    rows = connection.exec_driver_sql(
        "SELECT USER, COUNT(*) FROM information_schema.PROCESSLIST WHERE ID > CONNECTION_ID() GROUP BY USER"
    ).all()
    return Counter({str(user): int(count) for user, count in rows})


_GALERA = "SHOW STATUS WHERE Variable_name IN ('wsrep_last_committed', 'wsrep_cluster_state_uuid')"
#: Whether the server is MariaDB -> question -> what the columns of its answer are called; None: the first column is the name
#: of the second. Commits wait meanwhile, so no server is asked what only the other kind can answer.
_POSITIONS: dict[bool, dict[str, tuple[str, ...] | None]] = {
    True: {
        "SHOW MASTER STATUS": ("binlog_file", "binlog_position"), "SELECT @@gtid_binlog_pos": ("gtid_binlog_pos",), _GALERA: None,
    },
    False: {
        "SHOW MASTER STATUS": ("binlog_file", "binlog_position"),
        "SHOW BINARY LOG STATUS": ("binlog_file", "binlog_position"),  # MySQL 8.4
        "SELECT @@gtid_executed": ("gtid_executed",), _GALERA: None,
    },
}
