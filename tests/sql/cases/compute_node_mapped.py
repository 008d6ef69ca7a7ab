"""A removed node that is still marked as mapped."""

from __future__ import annotations

from tests.sql.cases import Case, Flip
from tests.sql.cases.computes import HOST, STRANGE, neighbours, node
from tests.sql.cases.steps import meanwhile, named, of_row
from tests.sql.world import LONG_AGO, World

REMOVED = "removed_node.id is not none"


def seed(w: World) -> None:
    neighbours(w)
    node(w, "node", HOST, deleted=3, deleted_at=LONG_AGO)
    node(w, "other node", HOST, deleted=4, deleted_at=LONG_AGO)
    node(w, "live node", HOST)
    node(w, "unmarked node", HOST, deleted=5, deleted_at=LONG_AGO, mapped=0)
    w.params = {"node_id": w["node"]["id"], "host": HOST}
    w.expect("node", mapped=0)


CASE = Case(
    file="compute_node_mapped.nova",
    tables=("services", "compute_nodes", "instances", "migrations"),
    seed=seed,
    flips=(
        Flip("no node", REMOVED, named(node_id=None)),
        Flip("a live node", REMOVED, of_row("node_id", "live node")),
        Flip("a node that is not marked", REMOVED, of_row("node_id", "unmarked node")),
        Flip("a removed node of GPU-1", REMOVED, of_row("node_id", "node of GPU-1")),
        *(Flip(f"host {h!r}", REMOVED, named(host=h)) for h in STRANGE),
        Flip("back again", REMOVED, meanwhile("node", deleted=0, deleted_at=None)),
    ),
)
