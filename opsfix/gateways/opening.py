"""Opens the configured databases, finds nova's cells in nova_api, proves that they are those behind the API, and takes
the lock that keeps a second run off the cloud."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from opsfix import sqlfile
from opsfix.config import Settings
from opsfix.errors import ConfigError, DatabaseUnknown, GuardError, LockedError
from opsfix.gateways.database import SERVICES, Database, Databases, connect, connect_url, engine
from opsfix.gateways.transaction import words
from opsfix.resources import Aggregate, Image, Provider, Service

_FIELD = re.compile(r"\{(\w+)\}")
_ADDRESS = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>\d+))?\Z")
#: What tells a server from every other, by whatever address it was reached.
Server = tuple[Any, ...]
#: The API and the database round a heartbeat differently.
ROUNDING = timedelta(seconds=2)


def open_databases(
    settings: Settings, wanted: Sequence[str] = SERVICES, *, read_only: bool = False
) -> Databases | None:
    """The configured ones of ``wanted``, nova's cells by ``nova_api.cell_mappings``; None when none is configured.

    Raises ConfigError for one that cannot be reached, with its reason and without its password.
    """
    pool = int(settings["workers"])
    urls = {name: settings.database(name) for name in wanted if name != "nova"}
    databases = {name: Database(name, url, pool=pool, read_only=read_only) for name, url in urls.items() if url}
    cells: dict[str, Database] = {}
    if "nova" in wanted and "nova_api" in databases:
        cells = dict(_cells(databases["nova_api"], settings.database("nova"), pool))
    return Databases(databases, cells, read_only=read_only) if databases else None


def _cells(nova_api: Database, default: str | None, pool: int) -> Iterator[tuple[str, Database]]:
    try:
        rows = nova_api.rows(sqlfile.load("read_cells.nova_api").statements[0].text)
    except DatabaseUnknown as e:
        raise ConfigError(f"the cells of nova cannot be read: {e}") from None
    if not rows:
        raise GuardError(f"the database {nova_api} maps no cell: is it nova's API database?")
    for row in rows:
        uuid = str(row["uuid"])
        name = str(row["name"] or uuid)
        url = filled(str(row["database_connection"]), default, name)
        yield uuid, Database("nova", url, pool=pool, cell=uuid, cell_name=name)


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
    connect_url(default)  # refuses what is no URL
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
    seen = _heartbeats(service, databases)
    for s in up:
        assert s.updated_at is not None
        found = seen.get((s.binary, s.host))
        if found is None or found < s.updated_at.replace(tzinfo=None) - ROUNDING:
            raise GuardError(
                f"the database of {service} is not the one behind the API: {s.binary} on {s.host} was heard of at"
                f" {s.updated_at:%H:%M:%S}, in the database {'never' if found is None else format(found, '%Y-%m-%d %H:%M:%S')}:"
                " correct its connection, see 'opsfix config show'"
            )


def _heartbeats(service: str, databases: Databases) -> dict[tuple[str, str], datetime]:
    """The newest of each service: a host may have rows in several cells, and of lives before this one."""
    seen: dict[tuple[str, str], datetime] = {}
    try:
        rows = databases.read(f"read_heartbeats.{service}", {})
    except DatabaseUnknown as e:
        raise ConfigError(f"the database {e}") from None
    for row in rows:
        key = (row["binary"], row["host"])
        if row["seen"]:
            seen[key] = max(row["seen"], seen.get(key, row["seen"]))
    return seen


def prove_images(databases: Databases, newest: Sequence[Image]) -> None:
    """Refuse a glance database that is not the one behind the API: the images that the API just listed as those that
    changed last must be in it, as new. A copy is told by the first image that is made or changed after it was."""
    if not newest:
        raise GuardError("glance lists no image, so nothing proves that its database is the one behind the API")
    try:
        rows = databases.read("read_image_ages.glance", {"image_ids": [i.id for i in newest]})
    except DatabaseUnknown as e:
        raise ConfigError(f"the database {e}") from None
    seen = {str(r["id"]): r["changed_at"] for r in rows}
    for image in newest:
        changed_at, found = image.changed_at, seen.get(image.id)
        if found is None or (changed_at and found < changed_at.replace(tzinfo=None, microsecond=0)):
            raise GuardError(
                f"the database of glance is not the one behind the API: image {image.id} changed at"
                f" {image.changed_at:%Y-%m-%d %H:%M:%S}, in the database"
                f" {'never' if found is None else format(found, '%Y-%m-%d %H:%M:%S')}: correct its connection,"
                " see 'opsfix config show'"
            )


def prove_providers(databases: Databases, listed: Sequence[Provider]) -> None:
    """Refuse a placement database that is not the one behind the API: every resource provider that the API just listed
    must be in it, of that generation or a later one. A copy is told by the first change of any inventory."""
    try:
        seen = {str(r["uuid"]): r["generation"] for r in databases.read("read_providers.placement", {})}
    except DatabaseUnknown as e:
        raise ConfigError(f"the database {e}") from None
    for provider in listed:
        if (seen.get(provider.uuid) or 0) < provider.generation or provider.uuid not in seen:
            raise GuardError(
                f"the database of placement is not the one behind the API: resource provider {provider.name} has generation"
                f" {provider.generation}, in the database {seen.get(provider.uuid, 'none')}: correct its connection, see"
                " 'opsfix config show'"
            )


def prove_aggregates(databases: Databases, listed: Sequence[Aggregate]) -> None:
    """Refuse a nova_api database whose aggregates are not those that the API just listed, with the same hosts."""
    try:
        rows = databases.read("read_aggregates.nova_api", {})
    except DatabaseUnknown as e:
        raise ConfigError(f"the database {e}") from None
    kept: dict[int, set[str]] = {}
    for row in rows:
        kept.setdefault(row["id"], set()).update({row["host"]} - {None})
    for aggregate in listed:
        if kept.get(aggregate.id) != set(aggregate.hosts):
            raise GuardError(
                f"the database of nova_api is not the one behind the API: aggregate {aggregate.name} has other hosts in it:"
                " correct its connection, see 'opsfix config show'"
            )


def prove_mappings(databases: Databases, newest: Sequence[str]) -> None:
    """Refuse a nova_api database that does not know most of the servers that were made last, given by their ids: an older
    copy does not. Most, for one that has lost its mapping may be what shall be repaired. A cloud that never had a server
    has none to know."""
    try:
        known = databases.read("read_mapped.nova_api", {"server_ids": list(newest)}) if newest else []
    except DatabaseUnknown as e:
        raise ConfigError(f"the database {e}") from None
    if newest and len({r["instance_uuid"] for r in known}) * 2 <= len(newest):
        raise GuardError(
            f"the database of nova_api is not the one behind the API: of the {len(newest)} servers that were made last, it"
            f" knows {len(known)}: correct its connection, see 'opsfix config show'"
        )


class CloudLock:
    """The cloud's lock as this run holds it; ``warnings`` says where it may not keep every other run off."""

    def __init__(self) -> None:
        self._held: list[tuple[sa.Connection, str, str]] = []
        self._mine: set[tuple[Server, str]] = set()
        self._unreachable: set[tuple[str | None, int | None]] = set()
        self._one_at_a_time = threading.Lock()
        self._warnings: dict[str, None] = {}

    @property
    def warnings(self) -> list[str]:
        """Texts for people, each once."""
        return list(self._warnings)

    def held(self) -> None:
        """Prove that every server still knows the lock as ours, which also keeps the connections from being idle.

        Raises LockedError when one does not, for a proxy or a server may cut a session at any time.
        """
        with self._one_at_a_time:
            for connection, name, where in self._held:
                try:
                    ours = _asked(connection, "SELECT IS_USED_LOCK(:name) = CONNECTION_ID()", name)
                except exc.SQLAlchemyError:
                    ours = 0
                if ours != 1:
                    raise LockedError(
                        f"the cloud's lock was lost ({where}): another run may be at work; nothing more was changed"
                    )

    def take(self, held: ExitStack, database: Database) -> None:
        """Take it through the configured URL, then on every other node of the cluster that can be reached."""
        try:
            connection, server = self._at(held, database.url, database, 5)
            nodes = _nodes(connection, database.url)
        except exc.SQLAlchemyError as e:
            raise ConfigError(f"the cloud's lock cannot be taken at {database}: {words(e)}") from None
        servers = {server} | {s for node in nodes if node and (s := self._also(held, node, database))}
        if len(servers) * 2 <= len(nodes):
            self._warnings[
                f"the cloud's lock is held only on {len(servers)} of {len(nodes)} nodes of the database cluster, the"
                " others cannot be reached from here: be sure that no other host runs opsfix through another node"
            ] = None

    def _also(self, held: ExitStack, node: sa.URL, database: Database) -> Server | None:
        """Which server the node is, when the lock is now held there; None when it cannot be reached."""
        place = (node.host, node.port)
        if place in self._unreachable:
            return None
        try:
            return self._at(held, node, database, 3)[1]
        except (exc.SQLAlchemyError, ConfigError):
            self._unreachable.add(place)
            return None

    def _at(self, held: ExitStack, url: sa.URL, database: Database, seconds: int) -> tuple[sa.Connection, Server]:
        """Take it on one server, once; a transaction keeps a proxy that splits reads from writes on its writer."""
        made = engine(url, str(database), connect_seconds=seconds, seconds=10, poolclass=sa.NullPool)
        connection = connect(made, str(database))
        held.callback(_let_go, connection)
        connection.exec_driver_sql("SET SESSION wait_timeout = 86400")
        connection.exec_driver_sql("START TRANSACTION")
        server, name = _server(connection), f"opsfix/{database.url.database}"[:64]
        if (server, name) not in self._mine:
            _take(connection, name, database)
            self._mine.add((server, name))
            self._held.append((connection, name, f"node {url.host}:{url.port or 3306} of {database}"))
        return connection, server


def _take(connection: sa.Connection, name: str, database: Database) -> None:
    taken = _asked(connection, "SELECT GET_LOCK(:name, 0)", name)
    if taken == 0:
        raise LockedError(
            f"another run, perhaps of another host, is at work on this cloud (lock on {database}): wait for it to end"
        )
    if taken != 1:
        raise ConfigError(f"the cloud's lock cannot be taken at {database}: the server has no answer to GET_LOCK")


@contextmanager
def cloud_lock(databases: Databases) -> Iterator[CloudLock]:
    """Keep every other run off this cloud, from whatever host, for as long as the connections last.

    A named lock is one server's. Of two runs that each hold it on a majority of a cluster's nodes, one is refused, for
    two majorities meet. Where the nodes cannot be reached, the configured URL is usually a proxy that pins one writer,
    and the two meet there; that is no proof, so ``warnings`` of what is yielded says so. No commit is begun without
    the lock: ``databases.guard`` asks before each. Raises LockedError when another run has it.
    """
    with ExitStack() as held:
        lock = CloudLock()
        for _, database in sorted({_place(d): d for d in databases.every()}.items()):
            lock.take(held, database)
        databases.guard = lock.held
        held.callback(setattr, databases, "guard", None)
        yield lock


def _place(database: Database) -> str:
    return f"{database.url.host}:{database.url.port or 3306}/{database.url.database}"


def _nodes(connection: sa.Connection, url: sa.URL) -> list[sa.URL | None]:
    """The URL on each node of its cluster, None for one without an address; empty where there is no cluster.

    An arbitrator is listed with an empty address: it has no database, so it does not count.
    """
    rows = connection.exec_driver_sql("SHOW STATUS LIKE 'wsrep_incoming_addresses'").all()
    listed = [address.strip() for row in rows for address in str(row[1]).split(",")]
    url = url.difference_update_query(["unix_socket", "read_default_file", "read_default_group"])
    return [_node(url, address) for address in listed if address]


def _node(url: sa.URL, address: str) -> sa.URL | None:
    found = _ADDRESS.match(address)
    if not found or address == "AUTO":
        return None
    return url.set(host=found["six"] or found["host"], port=int(found["port"] or 0) or 3306)


def _server(connection: sa.Connection) -> Server:
    status = connection.exec_driver_sql("SHOW STATUS LIKE 'wsrep_gcomm_uuid'").all()
    return (*connection.exec_driver_sql("SELECT @@hostname, @@port, @@datadir").one(), *(row[1] for row in status))


def _asked(connection: sa.Connection, question: str, name: str) -> Any:
    return connection.execute(sa.text(question), {"name": name}).scalar()


def _let_go(connection: sa.Connection) -> None:
    """Close for good: a proxy that keeps the connection would keep the lock."""
    with suppress(exc.SQLAlchemyError):
        connection.exec_driver_sql("DO RELEASE_ALL_LOCKS()")
    connection.invalidate()
    connection.close()
