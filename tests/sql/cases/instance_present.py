"""A server that no API call can delete: every row of it, as nova would have left it."""

from __future__ import annotations

from tests.sql.cases import Case, Flip, Step, servers
from tests.sql.cases.nova import GOING_ON, HEARTBEAT, OVER, beats, migration, moving, server
from tests.sql.cases.servers import HOST, OTHER_SERVER, SERVER, SINGLE, SOFT
from tests.sql.cases.steps import meanwhile, named, seen
from tests.sql.world import LONG_AGO, NOW, World

ROW = "row.id is not none"
UNLOCKED = "server.locked_out is False"
RESTS = "server.moving is False"
SILENT = "server.writes is nothing"
MAPPING = "server block_device_mapping"


def seed(w: World) -> None:
    """A server on gpu-1, stuck in its deletion, and others like it."""
    server(w, "server", SERVER, HOST, vm_state="error", task_state="deleting", locked=0)
    server(w, "other", OTHER_SERVER, HOST)
    servers.children(w, "server", SERVER)
    servers.children(w, "other", OTHER_SERVER)
    for table in set(SOFT) - set(SINGLE):
        servers.row(w, f"deleted {table}", table, SERVER, deleted=1, deleted_at=LONG_AGO)
    for status in OVER:
        migration(w, f"migration {status}", status)
        w.expect(f"migration {status}", deleted=w[f"migration {status}"]["id"], deleted_at=NOW)
    migration(w, "forgotten migration", "migrating", deleted=1)
    migration(w, "other migration", "migrating", instance_uuid=OTHER_SERVER)
    servers.hosts(w)
    w.params = {
        "server_id": SERVER, "row_id": w["server"]["id"], "vm_state": "error", "task_state": "deleting",
        "updated_at": LONG_AGO, "host": HOST, "heartbeat": HEARTBEAT, "unlocked": 0,
    }
    w.expect(
        "server", vm_state="deleted", task_state=None, terminated_at=NOW, deleted=w["server"]["id"], deleted_at=NOW,
    )
    servers.expect_soft_deleted(w, "server")


def terminated(w: World) -> None:
    """nova had begun to delete it."""
    w.change("server", terminated_at=LONG_AGO)
    w.expect("server", vm_state="deleted", task_state=None, deleted=w["server"]["id"], deleted_at=NOW)


def without_volumes(w: World) -> None:
    """Its host lives, and it has only a disk of its own; a volume that it once had is detached."""
    w.change(MAPPING, volume_id=None)
    beats("service", 9)(w)


def locked(w: World) -> None:
    """The operator said that it may go."""
    w.change("server", locked=1)
    w.params["unlocked"] = 1


def never_placed(w: World) -> None:
    """It failed before it had a host."""
    w.change("server", host=None, node=None)
    w.params |= {"host": None, "heartbeat": None}


def deleted_already(table: str) -> Step:
    """One of its rows is deleted: it keeps the time at which it was."""

    def step(w: World) -> None:
        w.change(f"server {table}", deleted=w[f"server {table}"]["id"], deleted_at=LONG_AGO)
        w.expect_untouched(f"server {table}")

    return step


CASE = Case(
    file="instance_present.nova",
    tables=servers.TABLES,
    seed=seed,
    variants={
        "terminated before": terminated,
        "no volumes on a living host": without_volumes,
        "locked, and to be unlocked": locked,
        "lock unset": meanwhile("server", locked=None),
        "never placed": never_placed,
        "no task": seen("server", "task_state", None, "task_state"),
        "no state": seen("server", "vm_state", None, "vm_state"),
        "never changed": seen("server", "updated_at", None, "updated_at"),
        "an older heartbeat": beats("service", -1),
        "never heard of": lambda w: (w.change("service", last_seen_up=None), w.params.update(heartbeat=None)),
        "host purged": lambda w: w.remove("service"),
        **{f"{table} deleted already": deleted_already(table) for table in SINGLE},
    },
    flips=(
        Flip("deleted meanwhile", ROW, lambda w: w.change("server", deleted=w["server"]["id"], deleted_at=LONG_AGO)),
        Flip("no row", ROW, named(row_id=None)),
        Flip("another row", ROW, lambda w: w.params.update(row_id=w["other"]["id"])),
        *(Flip(f"server {s}", ROW, named(server_id=s)) for s in (OTHER_SERVER, "none")),
        Flip("restarted meanwhile", None, meanwhile("server", vm_state="active")),
        Flip("no state any more", None, meanwhile("server", vm_state=None)),
        Flip("another task", None, meanwhile("server", task_state="rebooting")),
        Flip("no task any more", None, meanwhile("server", task_state=None)),
        Flip("changed meanwhile", None, meanwhile("server", updated_at=HEARTBEAT.replace(hour=1))),
        *(Flip(f"moved to {h!r}", None, meanwhile("server", host=h)) for h in ("gpu-10", "GPU-1", None)),
        Flip("host was not read", None, named(host=None)),
        Flip("locked meanwhile", UNLOCKED, meanwhile("server", locked=1)),
        *(Flip(f"migration {status}", RESTS, moving(status)) for status in GOING_ON),
        Flip("reported since", SILENT, beats("service", 1)),
        Flip("reported since, forced down", SILENT, beats("service", 1, forced_down=1)),
        Flip("heartbeat was not read", SILENT, named(heartbeat=None)),
    ),
)
