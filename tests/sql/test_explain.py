"""No statement of sql/ reads a big table from end to end, unless its header says why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from opsfix import sqlfile
from opsfix.gateways.database import Database
from tests.sql import cases, schema
from tests.sql.cases import api, cinder, glance, quotas, servers
from tests.sql.server import MariaDB
from tests.sql.world import World

RELEASES = ("yoga", "2026.2")
ROWS = 4000
#: Of these there are a few for each host; console tokens expire within minutes, and hosts that live forget theirs; a
#: build request is there for as long as its build.
SMALL = {"services", "compute_nodes", "console_auth_tokens", "aggregate_hosts", "host_mappings", "build_requests"}
#: Tables that grow with a cloud; services and cells are few.
BIG = {
    "cinder": (
        "volumes", "volume_attachment", "attachment_specs", "volume_admin_metadata", "workers", "image_volume_cache_entries",
        "reservations", "quota_usages", "snapshots",
    ),
    "nova": ("instances", *servers.SOFT, "tags", "share_mapping", "instance_actions", "instance_actions_events"),
    "nova_api": ("instance_mappings", "request_specs", "instance_group_member"),
    "glance": glance.TABLES,
    "placement": ("allocations", "consumers"),
}
TABLES = {
    "cinder": (*cinder.TABLES, "image_volume_cache_entries", *(t for t in quotas.TABLES if t not in cinder.TABLES)),
    "nova": (*servers.TABLES, "compute_nodes"),
    "nova_api": (*api.TABLES, "host_mappings", "aggregates", "aggregate_hosts"),
    "glance": glance.TABLES,
    "placement": ("allocations", "consumers", "resource_providers"),
}
#: What a header says where only old releases have no index for it.
UNINDEXED = ", before 2023.1, where nothing indexes "
NAMES = sorted(path.name.removesuffix(".sql") for path in sqlfile.directory().glob("*.sql"))
EACH = [pytest.param(r, n, id=f"{r}-{n}") for r in RELEASES for n in NAMES]

FILLED: dict[tuple[str, str], Database] = {}


@pytest.fixture
def filled(mariadb: MariaDB, release: str, name: str) -> Database:
    """A database of the release with thousands of rows, made once."""
    service = sqlfile.load(name).database
    key = (release, service)
    if key not in FILLED:
        there = schema.tables(release, service)
        url = mariadb.create_databases(release, {service: [t for t in TABLES[service] if t in there]})[service]
        fill(mariadb, url, service)
        FILLED[key] = Database(service, url, pool=1)
    return FILLED[key]


def fill(mariadb: MariaDB, url: str, service: str) -> None:
    """As many rows of each big table, each of its own volume and server; every tenth is deleted."""
    if service == "cinder":
        mariadb.insert(url, "volumes", id="0", volume_type_id="any", status="in-use", host="storage-1@lvm#pool")
        mariadb.insert(url, "volume_attachment", id="0", volume_id="0", instance_uuid="0", attach_status="attached")
        mariadb.insert(url, "attachment_specs", attachment_id="0", key="k", value="v")
        mariadb.insert(url, "volume_admin_metadata", volume_id="0", key="attached_mode", value="rw")
        mariadb.insert(url, "reservations", uuid="0", expire="2024-02-29 23:59:58", resource="volumes")
        mariadb.insert(url, "quota_usages", project_id="0", resource="volumes", in_use=1, reserved=0)
        mariadb.insert(url, "snapshots", id="0", volume_id="0", volume_type_id="any", project_id="0", status="available")
        mariadb.insert(url, "workers", resource_type="Volume", resource_id="0", status="creating")
        mariadb.insert(url, "image_volume_cache_entries", image_id="0", volume_id="0")
        for table in BIG["cinder"]:
            own = ["id", "volume_id", "attachment_id", "instance_uuid", "resource_id", "image_id", "project_id"]
            multiply(mariadb, url, table, own)
    if service == "nova":
        fill_nova(mariadb, url)
    if service == "nova_api":
        fill_nova_api(mariadb, url)
    if service == "placement":
        fill_placement(mariadb, url)
    if service == "glance":
        fill_glance(mariadb, url)
    for number in range(20):
        if service in ("cinder", "nova"):
            mariadb.insert(url, "services", host=f"gpu-{number}", binary="nova-compute", topic=f"compute-{number}")
    for table in present(mariadb, url, service):
        mariadb.execute(url, f"ANALYZE TABLE {table}")


def present(mariadb: MariaDB, url: str, service: str) -> list[str]:
    """The big tables that the release has."""
    there = {str(name) for row in mariadb.execute(url, "SHOW TABLES") for name in row.values()}
    return [table for table in BIG[service] if table in there]


def fill_nova(mariadb: MariaDB, url: str) -> None:
    """The same of servers, each on a host of its own."""
    mariadb.insert(url, "instances", uuid="0", host="gpu-1", node="gpu-1", vm_state="active")
    mariadb.insert(url, "block_device_mapping", instance_uuid="0", volume_id="0", attachment_id="0", uuid="0")
    mariadb.insert(url, "instance_system_metadata", instance_uuid="0", key="shelved_image_id", value="0")
    mariadb.insert(url, "migrations", instance_uuid="0", status="completed", uuid="0", source_compute="gpu-1")
    mariadb.insert(url, "virtual_interfaces", instance_uuid="0", address="0", uuid="0")
    mariadb.insert(url, "instance_id_mappings", uuid="0")
    mariadb.insert(url, "tags", resource_id="0", tag="t")
    action = mariadb.insert(url, "instance_actions", instance_uuid="0", action="create")
    mariadb.insert(url, "instance_actions_events", action_id=action["id"], event="compute_terminate_instance")
    tables = present(mariadb, url, "nova")
    for table in tables:
        if not mariadb.rows(url, table):
            mariadb.insert(url, table, instance_uuid="0")
    own = ["uuid", "instance_uuid", "volume_id", "attachment_id", "host", "source_compute", "resource_id", "address", "action_id"]
    for table in tables:
        multiply(mariadb, url, table, own)


def fill_nova_api(mariadb: MariaDB, url: str) -> None:
    """The same of what nova's API database keeps of a server."""
    group = mariadb.insert(url, "instance_groups")
    mariadb.insert(url, "instance_mappings", instance_uuid="0", project_id="p", queued_for_delete=0)
    mariadb.insert(url, "request_specs", instance_uuid="0", spec="{}")
    mariadb.insert(url, "instance_group_member", instance_uuid="0", group_id=group["id"])
    for table in BIG["nova_api"]:
        multiply(mariadb, url, table, ["instance_uuid"])


def fill_placement(mariadb: MariaDB, url: str) -> None:
    """The same of consumers."""
    mariadb.insert(url, "consumers", uuid="0", generation=1)
    mariadb.insert(url, "allocations", consumer_id="0", resource_provider_id=1, resource_class_id=0, used=1)
    for table in BIG["placement"]:
        multiply(mariadb, url, table, ["uuid", "consumer_id", "resource_provider_id"])


def fill_glance(mariadb: MariaDB, url: str) -> None:
    """The same of images."""
    mariadb.insert(url, "images", id="0", name="0", status="active")
    for table, values in (
        ("image_locations", {"status": "active"}), ("image_properties", {"name": "p"}), ("image_members", {"member": "m"}),
        ("image_tags", {"value": "t"}),
    ):
        mariadb.insert(url, table, image_id="0", **values)
    for table in BIG["glance"]:
        multiply(mariadb, url, table, ["id", "image_id"])


def multiply(mariadb: MariaDB, url: str, table: str, own: list[str]) -> None:
    """Copy the only row of a table many times; the given columns get the number of the copy."""
    columns = {row["Field"]: row for row in mariadb.execute(url, f"SHOW COLUMNS FROM {table}")}
    copied = {name: f"t.`{name}`" for name, row in columns.items() if "auto_increment" not in row["Extra"]}
    copied |= {name: "s.seq" for name in own if name in copied}
    if "deleted" in copied:
        copied["deleted"] = "IF(s.seq MOD 10 = 0, 1, 0)"
    names = ", ".join(f"`{name}`" for name in copied)
    values = ", ".join(copied.values())
    mariadb.execute(url, f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} AS t, seq_1_to_{ROWS} AS s")


#: A page is a small part of a big table; of a small one the optimizer reads all, and rightly so.
PAGE = [str(number) for number in range(1, ROWS // 40)]
PARAMETERS: dict[str, Any] = {
    "volume_id": "17", "attachment_id": "17", "server_id": "17", "mapping_id": 17, "mapping_uuid": "17",
    "volume_status": "in-use", "attachment_status": "attached", "host": "gpu-1", "heartbeat": "2024-02-29 23:59:58",
    "volume_ids": PAGE, "server_ids": PAGE, "page": len(PAGE),
    "provider_id": "17", "consumer_id": "17", "node_id": 17, "node_uuid": "17", "seen": "2024-02-29 23:59:58",
    "service_id": 17, "service_uuid": "17", "report_count": 17, "aggregate_id": 17, "cell_id": "17",
    "service_host": "gpu-1@lvm", "service_binary": "cinder-volume", "providers": PAGE[:10], "names": PAGE[:10],
    "row_id": 17, "vm_state": "active", "task_state": None, "updated_at": "2024-02-29 23:59:58", "unlocked": 0, "ended": 0,
    "actions": [17, 18], "hosts": PAGE[:10], "request_id": 17, "created_at": "2024-02-29 23:59:58", "cell": "17",
    "consumers": PAGE[:10], "nodes": PAGE[:10], "generation": 1,
    "project_id": "17", "project_ids": PAGE[:10], "usage_id": 17, "twin_id": 17, "resource": "volumes", "kind": "gigabytes",
    "type_name": "17", "in_use": 17, "reserved": 1, "counted": 16, "with_snapshots": 1, "young": 900,
    "device": "/dev/vdb", "kept_id": 18, "kept_attachment": "18", "power_state": 4,
    "image_id": "17", "image_status": "active", "image_name": "17", "image_ids": PAGE[:10],
}


def statements(database: Database, name: str) -> Iterator[str]:
    """All that the file makes opsfix send: its statements, and the queries for the rows' images."""
    for statement in database._present(sqlfile.load(name)).statements:
        yield statement.text
        if statement.changes:
            yield statement.image
            yield f"{statement.image} FOR UPDATE"


def plans(database: Database, name: str, values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line of each statement's plan, the table by its name instead of its alias."""
    with database.session() as connection:
        for text in statements(database, name):
            names = dict(re.findall(r"\b(?:FROM|JOIN) (\w+) AS (\w+)", text))
            tables = {alias: table for table, alias in names.items()}
            wanted = {p: values[p] for p in re.findall(r"(?<!:):(\w+)", text)}
            for line in connection.execute(sa.text(f"EXPLAIN {text}"), wanted).mappings():
                yield text, {**line, "table": tables.get(line["table"], line["table"])}


def scans(database: Database, name: str, after: str) -> list[str]:
    """Where a big table is read from end to end; a page by a key that ends early is none."""
    found = []
    big = BIG[database.service]
    for text, line in plans(database, name, PARAMETERS | {"after": after}):
        page = "LIMIT" in text and line["key"] and "filesort" not in (line["Extra"] or "")
        if line["table"] in big and (line["type"] == "ALL" or (line["type"] == "index" and not page)):
            found.append(f"{line['table']}: {line['type']} {line['key']} {line['Extra']}")
    return found


@pytest.mark.parametrize(("release", "name"), EACH)
def test_no_big_table_is_read_from_end_to_end(filled: Database, release: str, name: str) -> None:
    file = sqlfile.load(name)
    for after in ("", "17", "39"):
        found = scans(filled, name, after)
        if file.scan is None or (UNINDEXED in file.scan and release != "yoga"):
            assert found == []
        else:
            assert found, "the header gives a reason for a scan that does not take place"
            assert {scan.split(":")[0] for scan in found} == set(file.scan.split(",")[0].split(" and "))


@pytest.mark.parametrize("name", [n for n in NAMES if sqlfile.load(n).scan])
def test_only_reads_may_scan(name: str) -> None:
    file = sqlfile.load(name)
    assert file.reads or UNINDEXED in (file.scan or "")
    assert re.fullmatch(r"\w+( and \w+)*, .{20,}", file.scan or "")


@pytest.mark.parametrize("service", ["cinder", "nova", "nova_api", "glance", "placement"])
def test_every_table_of_a_fallback_is_explained(mariadb: MariaDB, service: str) -> None:
    world = World(mariadb, "2026.2", service, TABLES[service])
    files = [sqlfile.load(name) for name in cases.every()]
    written = {s.table for file in files if file.database == service for s in file.statements if s.table}
    assert written - SMALL <= set(BIG[service]) <= set(world.tables)
