"""The services' databases: the only importer of SQLAlchemy and PyMySQL.

Every session is UTC, READ COMMITTED, waits 5 seconds for a lock and counts matched rows. Previews run in read-only
transactions. Sources: oslo.db's rules for Galera; cinder/db/sqlalchemy/api.py and nova/db/main/api.py for
lock order and soft deletes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from opsfix import sqlfile
from opsfix.errors import ConfigError, DatabaseRefused, DatabaseUnknown, GuardError
from opsfix.gateways.putback import put_back
from opsfix.gateways.transaction import RETRIED, Changed, Image, Preview, code, now_at, preview, words, write
from opsfix.releases import HEADS, unknown_heads

_SESSION = (
    "SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = 5,"
    " sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO'"
)
#: Asked for in this order; a later one may name an earlier one's database.
SERVICES = ("cinder", "nova_api", "nova", "glance", "neutron", "placement", "keystone")


class Unread(DatabaseUnknown):
    """A read that failed; ``number`` is the server's or the driver's error."""

    def __init__(self, database: Database, error: exc.DBAPIError):
        super().__init__(f"{database}: {words(error)}")
        self.number = code(error)


def connect_url(text: str) -> sa.URL:
    """The URL as opsfix connects with it: PyMySQL, utf8mb4. Raises ConfigError for another kind of database."""
    try:
        url = sa.make_url(text)
    except (exc.ArgumentError, ValueError):  # the latter for a port that is no number
        raise ConfigError("a database connection is not a URL of the form mysql+pymysql://USER:PASSWORD@HOST/NAME") from None
    if url.get_backend_name() not in ("mysql", "mariadb"):
        raise ConfigError(f"the database {shown(url)} is not MariaDB or MySQL")
    return url.set(drivername="mysql+pymysql").update_query_dict({"charset": "utf8mb4"})


def engine(url: sa.URL, name: str, *, connect_seconds: int = 5, seconds: int = 60, **options: Any) -> sa.Engine:
    """An engine that is not connected yet; raises ConfigError for options of the URL that cannot be meant."""
    try:
        url, args = _without_ssl_mode(url, name)
        if url.password:  # PyMySQL takes a text for latin-1
            args["password"] = str(url.password).encode()
        args |= {"connect_timeout": connect_seconds, "read_timeout": seconds, "write_timeout": seconds}
        return sa.create_engine(url, connect_args=args, **options)
    except (exc.SQLAlchemyError, ValueError) as e:
        raise ConfigError(f"the options of the database {name} cannot be used: {e}") from None


def connect(made: sa.Engine, name: str) -> sa.Connection:
    """A connection; raises ConfigError, also for what the driver finds wrong with the options of the URL."""
    try:
        return made.connect()
    except Exception as e:  # noqa: BLE001  for a missing file OSError, for an unknown option TypeError, ...
        raise ConfigError(f"the database {name} cannot be used: {words(e)}") from None


def _without_ssl_mode(url: sa.URL, name: str) -> tuple[sa.URL, dict[str, Any]]:
    """``ssl_mode``, which PyMySQL does not know, in its words; as the MySQL client, a named CA is always verified."""
    mode = str(url.query.get("ssl_mode", "PREFERRED")).upper()
    if mode not in ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"):
        raise ConfigError(f"the database {name} has an unknown ssl_mode: {mode}")
    url = url.difference_update_query(["ssl_mode"])
    if mode == "PREFERRED":
        return url, {}
    given = {key.removeprefix("ssl_"): value for key, value in url.query.items() if key.startswith("ssl_")}
    url = url.difference_update_query([f"ssl_{key}" for key in given])
    if mode == "DISABLED":
        return url, {"ssl_disabled": True}
    if mode.startswith("VERIFY") and not given.keys() & {"ca", "capath"}:
        raise ConfigError(f"the database {name} has ssl_mode={mode} and no ssl_ca to verify with")
    if "key_password" in given:
        given["password"] = given.pop("key_password")
    verify = "ca" in given or "capath" in given
    return url, {"ssl": given | {"verify_mode": verify, "check_hostname": mode == "VERIFY_IDENTITY"}}


def shown(url: sa.URL | str) -> str:
    """A database's URL without its password and options."""
    url = sa.make_url(url)
    return f"{url.get_backend_name()}://{url.username or ''}@{url.host or ''}:{url.port or 3306}/{url.database or ''}"


class Database:
    """One database on one server."""

    def __init__(
        self, service: str, url: str, *, pool: int = 8, cell: str | None = None, cell_name: str | None = None,
        read_only: bool = False,
    ):  # fmt: skip
        """``cell`` is the key of a cell, ``cell_name`` what people call it; ``read_only`` reads so, see Databases."""
        self.service, self.cell, self.cell_name, self.read_only = service, cell, cell_name or cell, read_only
        self.url = connect_url(url)
        self._engine = engine(
            self.url, str(self), pool_size=pool, max_overflow=4, pool_pre_ping=True, isolation_level="READ COMMITTED"
        )
        sa.event.listen(self._engine, "connect", _prepare)

    def __str__(self) -> str:
        return f"{self.service}{f' (cell {self.cell_name})' if self.cell else ''} at {shown(self.url)}"

    @contextmanager
    def session(self) -> Iterator[sa.Connection]:
        """A connection; a failure to get one is a ConfigError that names the database, never its password."""
        connection = connect(self._engine, str(self))
        try:
            yield connection
        finally:
            _end(connection)

    @contextmanager
    def _reading(self, start: str) -> Iterator[sa.Connection]:
        with self.session() as connection:
            try:
                connection.exec_driver_sql(start)
                yield connection
            except exc.DBAPIError as e:
                raise Unread(self, e) from None
            finally:
                with suppress(exc.SQLAlchemyError):
                    connection.exec_driver_sql("ROLLBACK")

    def rows(self, text: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Read in a transaction of its own; raises DatabaseUnknown when that failed."""
        with self._reading(f"START TRANSACTION{' READ ONLY' if self.read_only else ''}") as connection:
            return [dict(r._mapping) for r in connection.execute(_text(text, params or {}), params or {})]

    def read(self, statement: sqlfile.Statement, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows of a read; none where it is of a table that this release has not. Raises DatabaseUnknown."""
        try:
            return self.rows(statement.text, params)
        except Unread as e:
            if e.number == 1146 and statement.optional:
                return []
            raise

    def check(self) -> None:
        """Refuse a database that is not of a known release, or a Galera node that is not in sync."""
        try:
            if self.service in HEADS:
                heads = {str(r["version_num"]) for r in self.rows("SELECT version_num FROM alembic_version")}
                self._check_heads(heads)
            self.check_in_sync()
        except Unread as e:
            if e.number == 1146:
                raise GuardError(f"{e}: not a {self.service} database") from None
            raise ConfigError(f"the database {e}") from None

    def _check_heads(self, heads: set[str]) -> None:
        strange = unknown_heads(self.service, heads)
        if strange:
            raise GuardError(
                f"the database {self} has the schema version {', '.join(sorted(strange))}, which this opsfix does not"
                " know (it knows Yoga to 2026.2): upgrade opsfix, or finish the migration"
            )

    def check_in_sync(self) -> None:
        """On Galera: ready, in the primary component, and synced."""
        status = {str(r["Variable_name"]).lower(): str(r["Value"]) for r in self.rows("SHOW STATUS LIKE 'wsrep%'")}
        if status.get("wsrep_provider_name", "") in ("", "none") and "wsrep_ready" not in status:
            return
        if status.get("wsrep_cluster_size") == "0" and status.get("wsrep_ready") == "OFF" and not status.get("wsrep_provider_name"):
            return
        seen = (status.get("wsrep_ready"), status.get("wsrep_cluster_status"), status.get("wsrep_local_state"))
        if seen != ("ON", "Primary", "4"):
            comment = status.get("wsrep_local_state_comment", "?")
            raise GuardError(f"the Galera node behind {self} is not safe to use: ready {seen[0]}, {seen[1]}, {comment}: use another node")

    def tables(self) -> set[str]:
        """The names of its tables, as far as the account may know them."""
        text = "SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
        return {str(row["name"]) for row in self.rows(text)}

    def preview(self, file: sqlfile.SqlFile, params: Mapping[str, Any]) -> Preview:
        """What a fallback would do to the rows as they are now; sends no statement that changes anything.

        Raises DatabaseUnknown when reading failed.
        """
        file = self._present(file)
        with self._reading("START TRANSACTION READ ONLY") as connection:
            return preview(connection, file, params)

    def _present(self, file: sqlfile.SqlFile) -> sqlfile.SqlFile:
        """The file without the statements whose table this release has not."""
        if not any(s.optional for s in file.statements):
            return file
        there = self.tables()
        return replace(file, statements=tuple(s for s in file.statements if not s.optional or s.table in there))

    def commit(self, file: sqlfile.SqlFile, params: Mapping[str, Any], record: Any) -> Changed:
        """Run a fallback in one guarded transaction, again from its start on 1213, 1205 and 1020.

        Raises DatabaseRefused when a statement would not match the rows expected, DatabaseUnknown when the
        connection was lost and reading back did not settle whether the commit took place.
        """
        try:
            file = self._present(file)
        except Unread as e:
            raise DatabaseRefused(f"{e}: nothing was changed") from None
        record = _bound(record, file=file.name, database=shown(self.url), service=self.service, cell=self.cell)
        changed: Changed = self._guarded(file.name, lambda: write(self.session, file, params, record))
        return changed

    def put_back(self, name: str, before: Sequence[Image], after: Sequence[Image], record: Any) -> None:
        """Bring rows back as they were before ``name`` changed them; see putback.put_back. Raises as commit does."""
        record = _bound(record, file=name, database=shown(self.url), service=self.service, cell=self.cell)
        self._guarded(name, lambda: put_back(self.session, before, after, record))

    def current(self, images: Sequence[Image]) -> list[Image]:
        """The rows of these images as they are now, without a lock. Raises DatabaseUnknown."""
        with self._reading("START TRANSACTION READ ONLY" if self.read_only else "START TRANSACTION") as connection:
            return now_at(connection, images)

    def heads(self) -> list[str]:
        """The alembic heads of the schema, none where the service keeps none. Raises DatabaseUnknown."""
        if self.service not in HEADS:
            return []
        return sorted(str(r["version_num"]) for r in self.rows("SELECT version_num FROM alembic_version"))

    def _guarded(self, name: str, transaction: Callable[[], Any]) -> Any:
        """Run a transaction, again from its start on 1213, 1205 and 1020; every other error as a refusal in words."""
        attempts = Retrying(
            retry=retry_if_exception(lambda e: isinstance(e, exc.DBAPIError) and code(e) in RETRIED),
            stop=stop_after_attempt(5),
            wait=wait_random_exponential(multiplier=0.05, max=1),
            reraise=True,
        )
        try:
            return attempts(transaction)
        except exc.DBAPIError as e:
            number = code(e)
            if number in RETRIED:
                raise DatabaseRefused(f"the rows of {name} stayed locked by others (error {number}): try again") from None
            if number in (1290, 1792, 1836):
                raise DatabaseRefused(f"the database {self} is read-only: use the node that takes writes") from None
            if e.connection_invalidated:
                raise DatabaseRefused(
                    f"the connection to {self} was lost before the commit (error {number}): nothing was changed"
                ) from None
            raise DatabaseRefused(f"{self} refuses {name}: {words(e)}") from None

    def dispose(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _end(connection: sa.Connection) -> None:
    """Give a connection back; what its last ROLLBACK says changes nothing any more."""
    try:
        connection.close()
    except exc.SQLAlchemyError:
        if not connection.closed:  # as releases of SQLAlchemy before 2.1 leave it
            connection.invalidate()


def _text(text: str, params: Mapping[str, Any]) -> sa.TextClause:
    """The statement; a list parameter becomes as many as it has members."""
    lists: list[sa.BindParameter[Any]] = [
        sa.bindparam(name, expanding=True) for name, value in params.items() if isinstance(value, (list, tuple))
    ]
    return sa.text(text).bindparams(*lists)


def _bound(record: Any, **fixed: Any) -> Any:
    return lambda event, /, **data: record(event, **fixed, **data)


def _prepare(connection: Any, _: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_SESSION)
        try:
            cursor.execute("SET SESSION wsrep_sync_wait = 1")
        except Exception as e:  # MySQL, and MariaDB without wsrep, have no such variable
            if code(e) != 1193:
                raise


class Databases:
    """See ports.Databases. ``cells`` are nova's by uuid, each with its own server.

    ``read_only`` runs every read in a read-only transaction. Off by default: a proxy that splits reads from writes
    sends such a transaction to a replica, which may lag. ``guard`` is called before each commit and may refuse it.
    """

    def __init__(self, databases: Mapping[str, Database], cells: Mapping[str, Database], *, read_only: bool = False):
        self._databases, self.cells = dict(databases), dict(cells)
        self.guard: Callable[[], None] | None = None
        self.read_only = read_only

    @property
    def read_only(self) -> bool:
        """Whether reads run in read-only transactions."""
        return self._read_only

    @read_only.setter
    def read_only(self, value: bool) -> None:
        self._read_only = value
        for database in self.every():
            database.read_only = value

    def names(self) -> Sequence[str]:
        """The configured ones; 'nova' stands for its cells."""
        return [*self._databases, *(["nova"] if self.cells else [])]

    def cell_names(self) -> Sequence[str]:
        """See ports.Databases."""
        return list(self.cells)

    def every(self) -> list[Database]:
        """Every database, the cells' included."""
        return [*self._databases.values(), *self.cells.values()]

    def check(self) -> None:
        """Connect to every one and refuse what is not known or not in sync; before any change."""
        for database in self.every():
            database.check()

    def _at(self, service: str, cell: str | None) -> Database:
        found = self.cells.get(cell or "") if service == "nova" else self._databases.get(service)
        if found is None:
            raise ConfigError(f"no database is configured for {service}{f' cell {cell}' if cell else ''}")
        return found

    def read(self, name: str, params: Mapping[str, Any], *, cell: str | None = None) -> list[dict[str, Any]]:
        """See ports.Databases."""
        file = sqlfile.load(name)
        places = [self._at(file.database, cell)] if file.database != "nova" or cell else list(self.cells.values())
        return [row | {"cell": place.cell} for place in places for row in place.read(file.statements[0], params)]

    def preview(self, name: str, params: Mapping[str, Any], *, cell: str | None = None) -> Preview:
        """See ports.Databases."""
        file = sqlfile.load(name)
        return self._at(file.database, cell).preview(file, params)

    def commit(self, name: str, params: Mapping[str, Any], record: Any, *, cell: str | None = None) -> Changed:
        """See ports.Databases."""
        file = sqlfile.load(name)
        return self._writable(file.database, cell).commit(file, params, record)

    def _writable(self, service: str, cell: str | None) -> Database:
        """A database that may be written to now."""
        place = self._at(service, cell)
        if self.guard:
            self.guard()
        try:
            place.check_in_sync()
        except Unread as e:
            raise DatabaseRefused(f"{e}: nothing was changed") from None
        return place

    def put_back(
        self, service: str, cell: str | None, name: str, before: Sequence[Image], after: Sequence[Image], record: Any
    ) -> None:
        """Bring rows back; raises ConfigError where their database is not configured, else as commit does."""
        self._writable(service, cell).put_back(name, before, after, record)

    def current(self, service: str, cell: str | None, images: Sequence[Image]) -> list[Image]:
        """Rows as they are now; raises ConfigError where their database is not configured, and DatabaseUnknown."""
        return self._at(service, cell).current(images)

    def heads(self) -> dict[str, list[str]]:
        """The alembic heads of every database, cells by their uuid. Raises DatabaseUnknown."""
        return {f"{d.service}{f'/{d.cell}' if d.cell else ''}": d.heads() for d in self.every()}

    def dispose(self) -> None:
        """Close every connection."""
        for database in self.every():
            database.dispose()
