"""What to measure on: real volumes made through the API, and a crowd of copies of healthy things put into the tables."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pymysql

from tests.functional.cloud import Lab, wait_until

#: Ids of the crowd begin with it.
MARK = "be9cbe9c-"
#: What nova reads with a server, its mappings excepted, and the column that names the server.
SERVER = {
    "instances": "uuid", "instance_extra": "instance_uuid", "instance_info_caches": "instance_uuid",
    "instance_system_metadata": "instance_uuid",
}
#: neutron's tables of a port, those that others refer to first, and the column that names the port.
PORT = {
    "ml2_port_bindings": "port_id", "ml2_port_binding_levels": "port_id", "ipallocations": "port_id",
    "portsecuritybindings": "port_id",
}
#: Seconds between two heartbeats of the crowd's hosts.
BEAT = 3.0


def volumes(lab: Lab, count: int) -> list[str]:
    """Ids of this many free volumes, made through the API."""
    storage = lab.api.block_storage
    have = [v.id for v in storage.volumes(details=False, all_projects=True, status="available") if v.name.startswith("bench-")]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(
            lambda n: storage.create_volume(name=f"bench-{n:03}", size=1, volume_type="fake").id, range(len(have), count)
        ))
    ids = sorted([*have, *made])[:count]
    wait_until(lambda: states(lab, ids) == {"available": count}, 300, f"{count} volumes are available")
    return ids


def stick(lab: Lab, ids: Sequence[str]) -> None:
    """Call the volumes detaching, through the API, as a detach does that nobody carries on."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: lab.api.block_storage.reset_volume_status(i, "detaching", "detached", None), ids))
    assert states(lab, ids) == {"detaching": len(ids)}


def states(lab: Lab, ids: Sequence[str]) -> dict[str, int]:
    """How many of the volumes are in which state, by cinder's table."""
    rows = lab.rows("cinder", "SELECT status, COUNT(*) AS n FROM volumes WHERE id IN %s GROUP BY status", tuple(ids))
    return {r["status"]: r["n"] for r in rows}


@dataclass(frozen=True)
class _Models:
    """What the crowd is copied from, and the names of the cell's and cinder's databases."""

    cinder: str
    cell: str
    free: str
    used: str
    server: str
    host: str
    port: str
    attributes: int


@contextmanager
def crowd(lab: Lab, *, servers: int, volumes: int, hosts: int = 50) -> Iterator[None]:
    """This many healthy servers with a port each, on hosts of their own that report, and volumes, of which each server has
    one, beside those there are; in every table that the services read for them; removed in the end."""
    db = root(lab)
    with db, db.cursor() as cursor:
        model = _models(lab, cursor)
        _remove(cursor, model)
        try:
            _add_hosts(cursor, model, hosts)
            _add_servers(cursor, model, servers, hosts)
            _add_ports(cursor, model, servers, hosts)
            _add_volumes(cursor, model, volumes, min(servers, volumes))
            _analyze(cursor, model)
            with _beating(lab, model):
                yield
        finally:
            _remove(cursor, model)


@contextmanager
def _beating(lab: Lab, model: _Models) -> Iterator[None]:
    """The crowd's hosts report."""
    over = threading.Event()

    def beat() -> None:
        db = root(lab)
        with db, db.cursor() as cursor:
            while True:
                cursor.execute(
                    f"UPDATE {model.cell}.services SET updated_at=UTC_TIMESTAMP(), last_seen_up=UTC_TIMESTAMP(),"
                    f" report_count=report_count+1 WHERE host LIKE '{MARK}%'"
                )
                cursor.execute(f"UPDATE neutron.agents SET heartbeat_timestamp=UTC_TIMESTAMP() WHERE host LIKE '{MARK}%'")
                if over.wait(BEAT):
                    return

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _host(hosts: int) -> str:
    """An expression for the host of the thing of number ``s.seq``."""
    return f"CONCAT('{MARK}', s.seq MOD {hosts} + 1)"


def _add_hosts(cursor: Any, model: _Models, hosts: int) -> None:
    name = {"host": _host(hosts)}
    chosen = f"host='{model.host}'"
    _copy(cursor, f"{model.cell}.services", f"{chosen} AND deleted=0", hosts, values=name, uuid="service")
    _copy(cursor, f"{model.cell}.compute_nodes", f"{chosen} AND deleted=0", hosts, values=name | {"hypervisor_hostname": _host(hosts)},
          uuid="node")
    _copy(cursor, "nova_api.host_mappings", chosen, hosts, values=name)
    _copy(cursor, "placement.resource_providers", f"name='{model.host}'", hosts,
          values={"name": _host(hosts), "root_provider_id": "NULL"}, uuid="node")
    cursor.execute(f"UPDATE placement.resource_providers SET root_provider_id=id WHERE name LIKE '{MARK}%'")
    _copy(cursor, "placement.inventories", f"resource_provider_id={_provider(repr(model.host))}", hosts,
          values={"resource_provider_id": _provider(_host(hosts))})
    _copy(cursor, "neutron.agents", "agent_type='Open vSwitch agent' AND host='net-01'", hosts, values=name, id="agent")


def _provider(host: str) -> str:
    return f"(SELECT id FROM placement.resource_providers WHERE name={host})"


def _add_servers(cursor: Any, model: _Models, servers: int, hosts: int) -> None:
    host = _host(hosts)
    node = f"(SELECT id FROM {model.cell}.compute_nodes WHERE host={host} AND deleted=0)"
    place = {"host": host, "node": host, "launched_on": host, "compute_id": node}
    for table, column in SERVER.items():
        _copy(cursor, f"{model.cell}.{table}", f"{column}='{model.server}'", servers, values=place if table == "instances" else {},
              **{column: "vm"})
    _copy(cursor, "nova_api.instance_mappings", f"instance_uuid='{model.server}'", servers, instance_uuid="vm")
    _copy(cursor, f"{model.cell}.block_device_mapping", f"instance_uuid='{model.server}' AND volume_id IS NULL AND deleted=0", servers,
          uuid="root", instance_uuid="vm")
    _copy(cursor, "placement.allocations", f"consumer_id='{model.server}'", servers,
          values={"resource_provider_id": _provider(host)}, consumer_id="vm")
    _copy(cursor, "placement.consumers", f"uuid='{model.server}'", servers, uuid="vm")


def _add_ports(cursor: Any, model: _Models, servers: int, hosts: int) -> None:
    cursor.execute("SELECT MAX(id) FROM neutron.standardattributes")
    last = cursor.fetchone()[0]
    cursor.execute(
        "INSERT INTO neutron.standardattributes (id, resource_type, created_at, updated_at, description, revision_number)"
        f" SELECT {last} + s.seq, m.resource_type, m.created_at, m.updated_at, '{MARK}', m.revision_number"
        f" FROM (SELECT * FROM neutron.standardattributes WHERE id={model.attributes}) m, seq_1_to_{servers} s"
    )
    mac = "CONCAT('fa:17:00:', INSERT(INSERT(LPAD(HEX(s.seq), 6, '0'), 5, 0, ':'), 3, 0, ':'))"
    own = {"standard_attr_id": f"{last} + s.seq", "mac_address": mac}
    _copy(cursor, "neutron.ports", f"id='{model.port}'", servers, values=own, id="port", device_id="vm")
    values = {"ipallocations": {"ip_address": "CONCAT('10.77.', s.seq DIV 250, '.', s.seq MOD 250 + 1)"}}
    values |= {table: {"host": _host(hosts)} for table in ("ml2_port_bindings", "ml2_port_binding_levels")}
    for table, column in PORT.items():
        _copy(cursor, f"neutron.{table}", f"port_id='{model.port}'", servers, values=values.get(table), **{column: "port"})


def _add_volumes(cursor: Any, model: _Models, volumes: int, used: int) -> None:
    """The first ``used`` are those of the first servers."""
    if volumes > used:
        _copy(cursor, f"{model.cinder}.volumes", f"id='{model.free}'", volumes - used, id="free")
    if used:
        _copy(cursor, f"{model.cinder}.volumes", f"id='{model.used}'", used, id="used")
        _copy(cursor, f"{model.cinder}.volume_attachment", f"volume_id='{model.used}' AND deleted=0", used, id="att", volume_id="used",
              instance_uuid="vm")
        _copy(cursor, f"{model.cell}.block_device_mapping", f"volume_id='{model.used}' AND deleted=0", used, uuid="bdm",
              volume_id="used", instance_uuid="vm", attachment_id="att")


def _models(lab: Lab, cursor: Any) -> _Models:
    """A free volume, and a server that has another one and a port: all healthy."""
    rows = lab.rows("cinder", "SELECT id, status FROM volumes WHERE id IN %s", tuple(lab.healthy["volumes"]))
    found = {r["status"]: r["id"] for r in rows}
    cinder, cell = (lab.urls()[s].database for s in ("cinder", "nova"))
    cursor.execute(f"SELECT instance_uuid FROM {cinder}.volume_attachment WHERE volume_id=%s AND deleted=0", (found["in-use"],))
    server = cursor.fetchone()[0]
    cursor.execute(f"SELECT host FROM {cell}.instances WHERE uuid=%s", (server,))
    host = cursor.fetchone()[0]
    cursor.execute("SELECT id, standard_attr_id FROM neutron.ports WHERE device_id=%s", (server,))
    return _Models(cinder, cell, found["available"], found["in-use"], server, host, *cursor.fetchone())


def root(lab: Lab) -> Any:
    """A connection to the lab's server that may do everything."""
    url = lab.urls()["cinder"]
    return pymysql.connect(host=url.host, port=url.port, user="root", password="lab-root", database=url.database, autocommit=True)


def _copy(cursor: Any, table: str, where: str, count: int, *, values: Mapping[str, str] | None = None, **ids: str) -> None:
    """Copy a row; the named columns get ids made of the mark, a word and a number, the same wherever the word is.
    ``values`` are expressions for other columns, of the number ``s.seq``."""
    schema, name = table.split(".")
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema=%s AND table_name=%s"
        " AND (extra NOT LIKE '%%auto_increment%%') AND extra NOT LIKE '%%GENERATED%%'", (schema, name),
    )
    columns = [r[0] for r in cursor.fetchall()]
    own = {c: _id(word) for c, word in ids.items()} | dict(values or {})
    chosen = [own.get(c, f"m.`{c}`") for c in columns]
    listed = ", ".join(f"`{c}`" for c in columns)
    model = f"(SELECT * FROM {table} WHERE {where}) m"
    cursor.execute(f"INSERT INTO {table} ({listed}) SELECT {', '.join(chosen)} FROM {model}, seq_1_to_{count} s")
    assert cursor.rowcount >= count, f"{table} has no row WHERE {where}"


def _id(word: str) -> str:
    """An expression for an id, spread over the index as random ones are."""
    hashed = f"MD5(CONCAT('{word}', s.seq))"
    parts = [f"SUBSTR({hashed}, {start}, {length})" for start, length in ((1, 4), (5, 4), (9, 4), (13, 12))]
    return f"CONCAT('{MARK}', CONCAT_WS('-', {', '.join(parts)}))"


def _tables(model: _Models) -> list[tuple[str, str]]:
    """The tables of the crowd and the column that tells it, those that refer to others first; what hangs on a port goes
    with it."""
    return [
        (f"{model.cinder}.volume_attachment", "id"), (f"{model.cinder}.volumes", "id"), (f"{model.cell}.block_device_mapping", "uuid"),
        ("nova_api.instance_mappings", "instance_uuid"), ("nova_api.host_mappings", "host"),
        *((f"{model.cell}.{table}", column) for table, column in reversed(SERVER.items())),
        ("placement.allocations", "consumer_id"), ("placement.consumers", "uuid"), ("neutron.ports", "id"),
        ("neutron.standardattributes", "description"), ("neutron.agents", "host"), (f"{model.cell}.compute_nodes", "host"),
        (f"{model.cell}.services", "host"),
    ]


def _remove(cursor: Any, model: _Models) -> None:
    for table, column in _tables(model):
        cursor.execute(f"DELETE FROM {table} WHERE `{column}` LIKE '{MARK}%'")
    cursor.execute(
        "DELETE i FROM placement.inventories i JOIN placement.resource_providers p ON p.id = i.resource_provider_id"
        f" WHERE p.name LIKE '{MARK}%'"
    )
    cursor.execute(f"UPDATE placement.resource_providers SET root_provider_id=NULL WHERE name LIKE '{MARK}%'")
    cursor.execute(f"DELETE FROM placement.resource_providers WHERE name LIKE '{MARK}%'")
    _analyze(cursor, model)


def _analyze(cursor: Any, model: _Models) -> None:
    cursor.execute(f"ANALYZE TABLE {', '.join(table for table, _ in _tables(model))}")
