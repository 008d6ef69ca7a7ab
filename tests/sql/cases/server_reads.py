"""The reads of servers: what each must find, for tests/sql/test_reads.py."""

from __future__ import annotations

from tests.sql.cases import api, nova, servers
from tests.sql.cases.api import CELL
from tests.sql.cases.nova import OTHER_SERVER, SERVER, server
from tests.sql.server import Row
from tests.sql.world import LONG_AGO, World

COLUMNS = (
    "id", "uuid", "display_name", "project_id", "host", "node", "vm_state", "task_state", "locked", "disable_terminate",
    "created_at", "updated_at", "deleted_at", "deleted",
)


def of_server(w: World) -> list[Row]:
    """Live, with two mapped volumes; what is deleted or another server's does not count."""
    server(w, "server", SERVER, "gpu-1", display_name="Sérver")
    server(w, "other", OTHER_SERVER, "gpu-1")
    for name in ("one", "two", "deleted"):
        nova.mapping(w, name, SERVER, name, deleted=int(name == "deleted"))
    nova.mapping(w, "image", SERVER, None)  # type: ignore[arg-type]
    nova.mapping(w, "other mapping", OTHER_SERVER, "v")
    w.add("cache", "instance_info_caches", instance_uuid=SERVER, network_info="[]")
    w.add("address", "fixed_ips", instance_uuid=SERVER)
    w.add("console", "consoles", instance_uuid=SERVER)
    w.params = {"server_id": SERVER}
    return [{c: w["server"][c] for c in COLUMNS} | {"network_info": "[]", "volumes": 2, "referenced": 2}]


def of_deleted_server(w: World) -> list[Row]:
    """Deleted, and nothing else of it is left."""
    server(w, "server", SERVER, "gpu-1", deleted=5, deleted_at=LONG_AGO)
    w.params = {"server_id": SERVER}
    return [{c: w["server"][c] for c in COLUMNS} | {"network_info": None, "volumes": 0, "referenced": 0}]


def _mapping_row(w: World, cell: str | None) -> Row:
    columns = ("id", "project_id", "queued_for_delete", "created_at", "updated_at")
    return {c: w["mapping"][c] for c in columns} | {"cell_uuid": cell}


def mapped(w: World) -> list[Row]:
    """The mapping and its cell."""
    api.seed(w, queued=0)
    w.params = {"server_id": SERVER}
    return [_mapping_row(w, CELL)]


def mapped_nowhere(w: World) -> list[Row]:
    """A mapping without a cell."""
    api.seed(w, queued=1, cell=False)
    w.params = {"server_id": SERVER}
    return [_mapping_row(w, None)]


def proof(w: World) -> list[Row]:
    """Those that are mapped or requested, each once."""
    api.seed(w, queued=0)
    api.request(w, "request", SERVER)
    api.request(w, "requested only", "requested only")
    w.params = {"server_ids": [SERVER, "requested only", "unknown"]}
    return [{"instance_uuid": SERVER}, {"instance_uuid": "requested only"}]


def request(w: World) -> list[Row]:
    """Its build request, and nobody else's."""
    api.request(w, "request", SERVER)
    api.request(w, "other", OTHER_SERVER)
    w.params = {"server_id": SERVER}
    return [{c: w["request"][c] for c in ("id", "project_id", "created_at", "updated_at")}]


def migrations(w: World) -> list[Row]:
    """All of it, deleted ones too."""
    server(w, "server", SERVER, "gpu-1")
    server(w, "other", OTHER_SERVER, "gpu-1")
    nova.migration(w, "done", "done", migration_type="evacuation")
    nova.migration(w, "deleted", "completed", deleted=1)
    nova.migration(w, "other migration", "running", instance_uuid=OTHER_SERVER)
    w.params = {"server_id": SERVER}
    columns = ("id", "status", "migration_type", "source_compute", "dest_compute")
    return [{c: w[name][c] for c in columns} for name in ("done", "deleted")]


def actions(w: World) -> list[Row]:
    """The host that ended the guest, by an event that succeeded."""
    server(w, "server", SERVER, "gpu-1")
    server(w, "other", OTHER_SERVER, "gpu-1")
    for name, server_id, event, result in (
        ("ended", SERVER, "compute_terminate_instance", "Success"), ("failed", SERVER, "compute_terminate_instance", "Error"),
        ("begun", SERVER, "compute_terminate_instance", None), ("stopped", SERVER, "compute_stop_instance", "Success"),
        ("others", OTHER_SERVER, "compute_terminate_instance", "Success"),
    ):
        w.add(name, "instance_actions", instance_uuid=server_id, action="delete")
        w.add(f"{name} event", "instance_actions_events", action_id=w[name]["id"], event=event, result=result, host="gpu-1")
    w.add("empty", "instance_actions", instance_uuid=SERVER, action="create")
    w.params = {"server_id": SERVER}
    ends = {"ended": "gpu-1", "failed": None, "begun": None, "stopped": None, "empty": None}
    return [{"id": w[name]["id"], "ended_on": host} for name, host in ends.items()]


def doomed(w: World) -> list[Row]:
    """Volumes that nova deletes with it: not its other ones, its disks without a volume, nor another server's."""
    server(w, "server", SERVER, "gpu-1")
    server(w, "other", OTHER_SERVER, "gpu-1")
    for name, server_id, volume_id, values in (
        ("first", SERVER, "v1", {}), ("kept", SERVER, "v2", {"delete_on_termination": 0}), ("unsaid", SERVER, "v3", {
            "delete_on_termination": None}), ("detached", SERVER, "v4", {"deleted": 7}), ("disk", SERVER, None, {}),
        ("others", OTHER_SERVER, "v5", {}), ("last", SERVER, "v6", {}),
    ):
        w.add(name, "block_device_mapping", **{
            "instance_uuid": server_id, "volume_id": volume_id, "delete_on_termination": 1, "destination_type": "volume"} | values)
    w.params = {"server_id": SERVER}
    return [{"volume_id": "v1"}, {"volume_id": "v6"}]


def on_hosts(w: World) -> list[Row]:
    """Live ones of the hosts; the database itself does not tell GPU-1 from gpu-1."""
    for number, (host, deleted) in enumerate((("gpu-1", 0), ("GPU-1", 0), ("gpu-10", 0), ("gpu-1", 7), ("gpu-2", 0), (None, 0))):
        server(w, str(number), f"server-{number}", host, deleted=deleted)
    w.params = {"hosts": ["gpu-1", "gpu-2", "it's none"]}
    return [{"uuid": f"server-{n}", "host": host} for n, host in ((0, "gpu-1"), (1, "GPU-1"), (4, "gpu-2"))]


#: name -> variant -> tables and seed.
CASES = {
    "read_server.nova": {"": (servers.TABLES, of_server), "deleted": (servers.TABLES, of_deleted_server)},
    "read_server_mapping.nova_api": {"": (api.TABLES, mapped), "no cell": (api.TABLES, mapped_nowhere)},
    "read_mapped.nova_api": {"": (api.TABLES, proof)},
    "read_build_request.nova_api": {"": (api.TABLES, request)},
    "read_server_migrations.nova": {"": (servers.TABLES, migrations)},
    "read_server_actions.nova": {"": (servers.TABLES, actions)},
    "read_server_doomed.nova": {"": (servers.TABLES, doomed)},
    "read_servers_on_hosts.nova": {"": (servers.TABLES, on_hosts)},
}
