"""Opens the configured databases, finds nova's cells in nova_api, proves that they are those behind the API, and takes
the lock that keeps a second run off the cloud."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy import exc

from opsfix import sqlfile
from opsfix.config import Settings
from opsfix.errors import ConfigError, GuardError, LockedError
from opsfix.gateways.database import SERVICES, Database, Databases
from opsfix.resources import Service

_FIELD = re.compile(r"\{(\w+)\}")
#: The API and the database round a heartbeat differently.
ROUNDING = timedelta(seconds=2)


def open_databases(settings: Settings, wanted: Sequence[str] = SERVICES) -> Databases | None:
    """The configured ones of ``wanted``, nova's cells by ``nova_api.cell_mappings``; None when none is configured.

    Raises ConfigError for one that cannot be reached, with its reason and without its password.
    """
    pool = int(settings["workers"])
    urls = {name: settings.database(name) for name in wanted if name != "nova"}
    databases = {name: Database(name, url, pool=pool) for name, url in urls.items() if url}
    cells: dict[str, Database] = {}
    if "nova" in wanted and "nova_api" in databases:
        cells = dict(_cells(databases["nova_api"], settings.database("nova"), pool))
    return Databases(databases, cells) if databases else None


def _cells(nova_api: Database, default: str | None, pool: int) -> Iterator[tuple[str, Database]]:
    rows = nova_api.rows(sqlfile.load("read_cells.nova_api").statements[0].text)
    if not rows:
        raise GuardError(f"the database {nova_api} maps no cell: is it nova's API database?")
    for row in rows:
        name = str(row["name"] or row["uuid"])
        yield name, Database("nova", filled(str(row["database_connection"]), default, name), pool=pool, cell=name)


def filled(template: str, default: str | None, cell: str) -> str:
    """A cell's connection with the fields that nova fills from its own [database]connection.

    Source: nova/objects/cell_mapping.py, CellMapping._format_url.
    """
    if not _FIELD.search(template):
        return template
    if not default:
        raise ConfigError(
            f"the connection of cell {cell} is a template, and nova's own [database]connection is not configured:"
            " set databases.nova"
        )
    url = sa.make_url(default)
    text = url.render_as_string(hide_password=False)
    user, _, password = text.split("://", 1)[1].rpartition("@")[0].partition(":")
    fields: Mapping[str, str] = {
        "scheme": url.drivername, "username": user, "password": password, "hostname": url.host or "",
        "port": str(url.port or 3306), "path": url.database or "", "query": text.partition("?")[2], "fragment": "",
    }
    strange = set(_FIELD.findall(template)) - fields.keys()
    if strange:
        raise ConfigError(f"the connection of cell {cell} is a template with unknown fields: {', '.join(sorted(strange))}")
    return _FIELD.sub(lambda m: fields[m[1]], template)


def prove_live(databases: Databases, computes: Sequence[Service], volumes: Sequence[Service]) -> None:
    """Refuse databases that are not those behind the API: every service that the API just called up must have, in the
    database, a heartbeat at least as new as the one that the API showed. A copy falls behind within seconds."""
    for service, listed in (("nova", computes), ("cinder", volumes)):
        if service in databases.names():
            _prove(service, databases, [s for s in listed if s.state == "up" and s.updated_at])


def _prove(service: str, databases: Databases, up: Sequence[Service]) -> None:
    if not up:
        raise GuardError(f"no service of {service} is up, so nothing proves that its database is the one behind the API")
    seen = {
        (r["binary"], r["host"]): r["seen"] for r in databases.read(f"read_heartbeats.{service}", {})
    }
    for s in up:
        assert s.updated_at is not None
        found = seen.get((s.binary, s.host))
        if found is None or found < s.updated_at.replace(tzinfo=None) - ROUNDING:
            raise GuardError(
                f"the database of {service} is not the one behind the API: {s.binary} on {s.host} was heard of at"
                f" {s.updated_at:%H:%M:%S}, in the database {'never' if found is None else format(found, '%Y-%m-%d %H:%M:%S')}:"
                " correct its connection, see 'opsfix config show'"
            )


@contextmanager
def cloud_lock(databases: Databases) -> Iterator[None]:
    """Keep every other run off this cloud, from whatever host, for as long as the connections last.

    A named lock is one server's, so it is taken for each database on each node of its Galera cluster, in one order.
    Raises LockedError when another run has one.
    """
    with ExitStack() as held:
        for database in sorted({_place(d): d for d in databases.every()}.items()):
            for node in _nodes(database[1]):
                _take(held, node, database[1])
        yield


def _place(database: Database) -> str:
    return f"{database.url.host}:{database.url.port or 3306}/{database.url.database}"


def _nodes(database: Database) -> list[sa.URL]:
    """The database's URL on each node of its cluster; the configured one alone where there is no cluster."""
    rows = database.rows("SHOW STATUS LIKE 'wsrep_incoming_addresses'")
    listed = str(rows[0]["Value"]) if rows else ""
    nodes = [a.strip().rpartition(":") for a in listed.split(",") if a.strip() and a.strip() != "AUTO"]
    return sorted(
        (database.url.set(host=host or port, port=int(port) if host else 3306) for host, _, port in nodes), key=str
    ) or [database.url]


def _take(held: ExitStack, url: sa.URL, database: Database) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"connect_timeout": 5})
    try:
        connection = held.enter_context(engine.connect().execution_options(isolation_level="AUTOCOMMIT"))
        connection.exec_driver_sql("SET SESSION wait_timeout = 86400")
        taken = connection.execute(sa.text("SELECT GET_LOCK(:name, 0)"), {"name": f"opsfix/{url.database}"[:64]}).scalar()
    except exc.SQLAlchemyError as e:
        raise ConfigError(
            f"the cloud's lock cannot be taken at node {url.host}:{url.port} of {database} ({e.__class__.__name__})"
        ) from None
    if taken != 1:
        raise LockedError(f"another run, perhaps of another host, is at work on this cloud (lock on {database}): wait for it to end")
