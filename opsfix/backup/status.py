"""How the databases are: one look at every server, and what of it a person has to do something about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from opsfix.backup.store import Store
from opsfix.errors import ConfigError, DatabaseUnknown, GuardError
from opsfix.gateways.servers import Place, Server
from opsfix.releases import HEADS, release_of, unknown_heads

#: Beyond these a person looks: seconds of a transaction, of a wait for a lock, of a wait for a flush.
LONG, LOCKED, FLUSHING = 600, 30, 5
#: Updates of agents that are at work at once, and seconds of one: neutron's heartbeats pile up.
AGENTS, AGENT_SECONDS = 10, 5
#: Of the connections that there may be; connects that fail a minute; part of the time that Galera was held up.
CONNECTIONS, ABORTED, PAUSED = 0.85, 5.0, 0.1
#: Rows that wait for the service's own archive or purge command; hours since the newest good backup.
WAITING, BACKUP_HOURS = 100_000, 36
#: Tables that grow with a cloud and its age.
GROWING: Mapping[str, tuple[str, ...]] = {
    "nova": (
        "instances", "instance_actions", "instance_actions_events", "instance_extra", "instance_faults", "instance_info_caches",
        "instance_system_metadata", "block_device_mapping", "migrations", "shadow_instances", "shadow_instance_system_metadata",
    ),
    "nova_api": ("instance_mappings", "request_specs", "build_requests"),
    "cinder": ("volumes", "volume_attachment", "snapshots", "backups", "reservations", "volume_glance_metadata"),
    "glance": ("images", "image_properties", "image_locations"),
    "neutron": ("ports", "portbindings", "ml2_port_bindings", "standardattributes", "provisioningblocks", "ovn_revision_numbers"),
    "placement": ("allocations", "consumers"),
    "keystone": ("revocation_event", "trust", "user", "project"),
}
#: service -> the read that counts what waits, and the command that takes it
CLEARED = {
    "nova": ("read_archivable.nova", "nova-manage db archive_deleted_rows"),
    "cinder": ("read_purgeable.cinder", "cinder-manage db purge"),
}


@dataclass(frozen=True)
class Seen:
    """One thing that was looked at; ``look`` says why a person has to, None when nobody has to."""

    server: str
    what: str
    value: str
    look: str | None = None


@dataclass
class Status:
    """All that was seen. ``unreachable``: a server or a login does not work."""

    seen: list[Seen] = field(default_factory=list)
    databases: list[dict[str, Any]] = field(default_factory=list)
    tables: list[dict[str, Any]] = field(default_factory=list)
    unreachable: bool = False


def look(places: Sequence[Place], store: Store) -> Status:
    """Look at every server through the accounts given; what cannot be read is itself something to look at."""
    status = Status()
    known: dict[tuple[Any, ...], Server] = {}
    for place in places:
        try:
            server = Server(place.account)
            _database(status, server, place)
        except ConfigError as e:
            status.unreachable = True
            status.seen.append(Seen(str(place.account), f"database {place.database}", "unreachable", str(e)))
        else:
            known.setdefault(server.identity, server)
    for server in known.values():
        for ask in (_version, _galera, _connects, _transactions, _waits):
            status.seen += _asked(server, ask)
    status.seen.append(_backup(store, datetime.now(UTC)))
    return status


def _asked(server: Server, ask: Callable[[Server], Iterator[Seen]]) -> list[Seen]:
    try:
        return list(ask(server))
    except (ConfigError, DatabaseUnknown) as e:
        return [Seen(str(server), (ask.__doc__ or "").rstrip("."), "not readable", f"{e}: the account needs PROCESS")]


def _version(server: Server) -> Iterator[Seen]:
    """Version."""
    yield Seen(str(server), "version", server.version)


def _galera(server: Server) -> Iterator[Seen]:
    """Galera."""
    found = server.status("wsrep_%")
    if not found.get("wsrep_cluster_size", "0").isdigit() or found.get("wsrep_cluster_size", "0") == "0":
        yield Seen(str(server), "galera", "not a cluster")
        return
    try:
        server.check_in_sync()
        wrong = None
    except GuardError as e:
        wrong = str(e)
    yield Seen(
        str(server), "galera",
        f"{found.get('wsrep_cluster_size')} nodes, {found.get('wsrep_cluster_status')}, {found.get('wsrep_local_state_comment')}", wrong,
    )
    paused = float(found.get("wsrep_flow_control_paused", "0"))
    yield Seen(str(server), "galera held up", f"{paused:.1%} of the time",
               "a node cannot keep up: look at its disk" if paused > PAUSED else None)
    yield Seen(str(server), "galera conflicts", f"{found.get('wsrep_local_cert_failures', '0')} at commit,"
               f" {found.get('wsrep_local_bf_aborts', '0')} before, since its start")


def _connects(server: Server) -> Iterator[Seen]:
    """Connections."""
    found = server.status("Aborted_connects", "Uptime", "Threads_connected", "Max_used_connections")
    most = int(server.variables("max_connections")["max_connections"])
    used, aborted = int(found["Threads_connected"]), int(found["Aborted_connects"])
    minute = aborted / max(int(found["Uptime"]) / 60, 10)
    yield Seen(str(server), "connections", f"{used} of {most}, {found['Max_used_connections']} at most",
               "new ones will soon be refused: raise max_connections, or find who holds them" if used > most * CONNECTIONS else None)
    yield Seen(str(server), "aborted connects", f"{aborted}, {minute:.1f} a minute",
               "somebody fails to log in again and again: a wrong password, or a health check without one" if minute > ABORTED else None)


def _transactions(server: Server) -> Iterator[Seen]:
    """Transactions."""
    rows = server.rows(
        "SELECT trx_mysql_thread_id AS id, trx_state AS state, TIMESTAMPDIFF(SECOND, trx_started, NOW()) AS age,"
        " TIMESTAMPDIFF(SECOND, trx_wait_started, NOW()) AS waiting FROM information_schema.INNODB_TRX"
    )
    long = [r for r in rows if int(r["age"] or 0) > LONG]
    locked = [r for r in rows if r["waiting"] is not None]
    stuck = [r for r in locked if int(r["waiting"]) > LOCKED]
    oldest = max((int(r["age"] or 0) for r in rows), default=0)
    yield Seen(str(server), "transactions", f"{len(rows)}, the oldest {oldest} s",
               f"{len(long)} run for more than {LONG} s (sessions {_ids(long)}): whoever left them open holds rows" if long else None)
    yield Seen(str(server), "lock waits", str(len(locked)),
               f"{len(stuck)} wait for a row for more than {LOCKED} s (sessions {_ids(stuck)})" if stuck else None)


def _waits(server: Server) -> Iterator[Seen]:
    """Sessions."""
    rows = server.rows(
        "SELECT ID AS id, TIME AS age, LOWER(COALESCE(STATE, '')) AS state, LOWER(LEFT(LTRIM(COALESCE(INFO, '')), 30)) AS text"
        " FROM information_schema.PROCESSLIST WHERE COMMAND <> 'Sleep'"
    )
    flush = [r for r in rows if _waits_for_all(str(r["state"]))]
    late = [r for r in flush if int(r["age"] or 0) > FLUSHING]
    yield Seen(
        str(server), "waits for a table flush", str(len(flush)),
        f"{len(late)} wait for more than {FLUSHING} s (sessions {_ids(late)}): find what they wait for" if late else None,
    )
    agents = [r for r in rows if str(r["text"]).startswith("update agents")]
    slow = [r for r in agents if int(r["age"] or 0) > AGENT_SECONDS]
    yield Seen(str(server), "updates of agents", str(len(agents)),
               "neutron's heartbeats pile up: agents will be called dead" if len(agents) >= AGENTS or slow else None)


def _waits_for_all(state: str) -> bool:
    return state.startswith("waiting for") and any(w in state for w in ("table flush", "global read lock", "backup lock", "metadata lock"))


def _ids(rows: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(str(r["id"]) for r in rows[:5])


def _database(status: Status, server: Server, place: Place) -> None:
    """A database's release, and its tables that grow."""
    tables = server.tables(place.database)
    heads = set(server.heads(place.database)) if "alembic_version" in tables else set()
    release = release_of(place.service, heads)
    status.databases.append({
        "database": place.database, "service": place.service, "server": str(server), "tables": len(tables),
        "bytes": sum(size for _, size, _ in tables.values()), "alembic_heads": sorted(heads), "release": release,
    })
    strange = unknown_heads(place.service, heads) if place.service in HEADS else set()
    status.seen.append(Seen(
        str(server), f"release of {place.database}", release or ", ".join(sorted(heads)) or "unknown",
        f"schema version {', '.join(sorted(strange))} is of no known release: an upgrade that was not finished?" if strange else None,
    ))
    for name in GROWING.get(place.service, ()):
        if name in tables:
            _, size, rows = tables[name]
            status.tables.append({"database": place.database, "table": name, "rows_estimated": rows, "bytes": size})
    if place.service in CLEARED and not strange:
        read, command = CLEARED[place.service]
        waiting = server.count(read, place.database)
        status.seen.append(Seen(
            str(server), f"deleted rows of {place.database}", str(waiting),
            f"run {command}" if waiting > WAITING else None,
        ))


def _backup(store: Store, now: datetime) -> Seen:
    """The age of the newest good backup."""
    try:
        newest = next((b for b in store.every() if not b.damage), None)
    except ConfigError as e:
        return Seen("", "newest backup", "unknown", str(e))
    if newest is None:
        return Seen("", "newest backup", "none", f"there is no good backup in {store.root}: opsfix db backup")
    age = now - newest.candidate().started
    old = age > timedelta(hours=BACKUP_HOURS)
    return Seen("", "newest backup", f"{newest.name}, {age.total_seconds() / 3600:.1f} hours old",
                f"it is older than {BACKUP_HOURS} hours: look why the nightly run fails" if old else None)
