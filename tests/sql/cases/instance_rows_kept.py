"""The rows of a deleted server, children first."""

from __future__ import annotations

from tests.sql.cases import Case, Flip, servers
from tests.sql.cases.nova import HEARTBEAT, beats, server
from tests.sql.cases.servers import HOST, OTHER_SERVER, SERVER, SOFT
from tests.sql.cases.steps import meanwhile, named
from tests.sql.world import LONG_AGO, World

ROW = "row.id is not none"
GUEST = "rows.guest is absent"


def seed(w: World) -> None:
    """Two deleted servers of gpu-1; nova-network still has something of the other one."""
    for name, server_id in (("server", SERVER), ("other", OTHER_SERVER)):
        server(w, name, server_id, HOST, vm_state="deleted", deleted_at=LONG_AGO)
        w.change(name, deleted=w[name]["id"])
        servers.children(w, name, server_id, deleted=1, deleted_at=LONG_AGO)
        servers.action(w, name, server_id)
    w.add("other address", "fixed_ips", instance_uuid=OTHER_SERVER)
    w.add("other console", "consoles", instance_uuid=OTHER_SERVER)
    servers.hosts(w)
    w.params = {
        "server_id": SERVER, "row_id": w["server"]["id"], "host": HOST, "heartbeat": HEARTBEAT, "ended": 0,
        "actions": (w["server action"]["id"], 0),
    }
    for name in ("server", "server action", "server event"):
        w.expect_gone(name)
    for table in (*SOFT, *servers.HARD):
        if table in w.tables:
            w.expect_gone(f"server {table}")


def never_placed(w: World) -> None:
    """It failed before it had a host."""
    w.change("server", host=None)
    w.params |= {"host": None, "heartbeat": None}


def without_children(w: World) -> None:
    """No foreign key protects the row of the server that was not named."""
    there = {next(iter(row.values())) for row in w.mariadb.execute(w.url, "SHOW TABLES")}
    for table in there & {*SOFT, *servers.HARD}:
        w.mariadb.execute(w.url, f"DELETE FROM {table} WHERE TRUE")
    w.remove("server event")
    w.remove("server action")
    w.params["server_id"] = "none"


CASE = Case(
    file="instance_rows_kept.nova",
    tables=servers.TABLES,
    seed=seed,
    variants={
        "ended by a nova-compute that lives": lambda w: (beats("service", 9)(w), w.params.update(ended=1)),
        "never placed": never_placed,
        "an older heartbeat": beats("service", -1),
        "never heard of": lambda w: (w.change("service", last_seen_up=None), w.params.update(heartbeat=None)),
        "host purged": lambda w: w.remove("service"),
    },
    flips=(
        Flip("lives again", ROW, meanwhile("server", deleted=0)),
        Flip("deleted otherwise", ROW, lambda w: w.change("server", deleted=w["server"]["id"] + 1)),
        Flip("no row", ROW, named(row_id=None)),
        Flip("another row", ROW, lambda w: w.params.update(row_id=w["other"]["id"])),
        Flip("another server", ROW, named(server_id="none")),
        Flip("another server, and no child holds the row", ROW, without_children),
        *(Flip(f"moved to {h!r}", None, meanwhile("server", host=h)) for h in ("gpu-10", "GPU-1", None)),
        Flip("reported since", GUEST, beats("service", 1)),
        Flip("heartbeat was not read", GUEST, named(heartbeat=None)),
    ),
)
