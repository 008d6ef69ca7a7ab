"""A server that nova must not terminate, until the row says otherwise."""

from __future__ import annotations

from tests.sql.cases import Case, Flip
from tests.sql.cases.nova import OTHER_SERVER, SERVER, server
from tests.sql.cases.steps import meanwhile, named
from tests.sql.world import World

ROW = "row.id is not none"
DISABLED = "rows.terminate_disabled is True"
UNLOCKED = "server.locked_out is False"


def seed(w: World) -> None:
    """Two such servers; one shall go."""
    server(w, "server", SERVER, "gpu-1", disable_terminate=1, locked=0)
    server(w, "other", OTHER_SERVER, "gpu-1", disable_terminate=1)
    w.params = {"server_id": SERVER, "row_id": w["server"]["id"], "unlocked": 0}
    w.expect("server", disable_terminate=0)


CASE = Case(
    file="instance_terminate_disabled.nova",
    tables=("instances",),
    seed=seed,
    variants={
        "lock unset": meanwhile("server", locked=None),
        "locked, and to be unlocked": lambda w: (w.change("server", locked=1), w.params.update(unlocked=1)),
    },
    flips=(
        Flip("deleted meanwhile", ROW, lambda w: w.change("server", deleted=w["server"]["id"])),
        Flip("no row", ROW, named(row_id=None)),
        Flip("another row", ROW, lambda w: w.params.update(row_id=w["other"]["id"])),
        Flip("another server", ROW, named(server_id=OTHER_SERVER)),
        *(Flip(f"disabled is {v}", DISABLED, meanwhile("server", disable_terminate=v)) for v in (0, None)),
        Flip("locked meanwhile", UNLOCKED, meanwhile("server", locked=1)),
    ),
)
