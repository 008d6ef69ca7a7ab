"""Rows that the cases of servers share: a server with one row in every table that names it, and others beside it."""

from __future__ import annotations

from typing import Any

from tests.sql.cases import nova
from tests.sql.cases.nova import OTHER_SERVER, SERVER
from tests.sql.world import LONG_AGO, NOW, World

HOST = "gpu-1"
#: Tables of a cell whose rows of a server are soft-deleted with it, by the column that names it.
SOFT = {
    "block_device_mapping": "instance_uuid", "instance_info_caches": "instance_uuid", "instance_extra": "instance_uuid",
    "instance_metadata": "instance_uuid", "instance_system_metadata": "instance_uuid", "instance_faults": "instance_uuid",
    "security_group_instance_association": "instance_uuid", "migrations": "instance_uuid",
    "virtual_interfaces": "instance_uuid", "instance_id_mappings": "uuid",
}
#: And those that know no soft deletion; share_mapping from 2024.1 on.
HARD = {"tags": "resource_id", "console_auth_tokens": "instance_uuid", "share_mapping": "instance_uuid"}
#: What is kept with the deleted server, and what nova-network left behind.
KEPT = ("instance_actions", "instance_actions_events", "fixed_ips", "consoles", "services")
TABLES = ("instances", *SOFT, *HARD, *KEPT)
#: A table that holds one row of a server, live or deleted, and no second.
SINGLE = ("instance_info_caches",)
#: What the tables ask for beside the server's id.
VALUES: dict[str, dict[str, Any]] = {
    "block_device_mapping": {"source_type": "volume", "destination_type": "volume", "boot_index": 0},
    "instance_metadata": {"key": "k", "value": "v"},
    "instance_system_metadata": {"key": "k", "value": "v"},
    "instance_faults": {"code": 500},
    "migrations": {"status": "completed"},
    "tags": {"tag": "t"},
}


def row(w: World, name: str, table: str, server_id: str, **values: Any) -> None:
    """A row of a server."""
    column = (SOFT | HARD)[table]
    if table == "block_device_mapping":
        values.setdefault("volume_id", f"volume of {name}"[:36])
    w.add(name, table, **{column: server_id}, **VALUES.get(table, {}) | values)


def children(w: World, who: str, server_id: str, **values: Any) -> None:
    """One row in every table, named 'WHO TABLE'; the soft-deletable ones with these values."""
    for table in SOFT:
        row(w, f"{who} {table}", table, server_id, **values)
    for table in HARD:
        if table in w.tables:
            row(w, f"{who} {table}", table, server_id)


def action(w: World, who: str, server_id: str) -> None:
    """Something that was done to a server, and its event."""
    w.add(f"{who} action", "instance_actions", instance_uuid=server_id, action="delete")
    w.add(f"{who} event", "instance_actions_events", action_id=w[f"{who} action"]["id"], event="compute_terminate_instance")


def hosts(w: World) -> None:
    """gpu-1 died; what looks like it lives."""
    now = w.utc()
    nova.service(w, "service", HOST, nova.HEARTBEAT)
    nova.service(w, "service of gpu-10", "gpu-10", now)
    nova.service(w, "removed service", "GPU-1", now, deleted=77, deleted_at=LONG_AGO)
    nova.service(w, "conductor", HOST, now, binary="nova-conductor")


def expect_soft_deleted(w: World, who: str) -> None:
    """All rows of the server are as nova leaves them."""
    for table in SOFT:
        w.expect(f"{who} {table}", deleted=w[f"{who} {table}"]["id"], deleted_at=NOW)
    for table in HARD:
        if table in w.tables:
            w.expect_gone(f"{who} {table}")


__all__ = ["HOST", "OTHER_SERVER", "SERVER", "SINGLE", "SOFT", "TABLES", "action", "children", "expect_soft_deleted", "hosts", "row"]
