"""A node of a host whose service is gone."""

from __future__ import annotations

from datetime import timedelta

from tests.sql.cases import Case, Flip, nova
from tests.sql.cases.computes import FLIPS, HOST, STRANGE, UNREGISTERED, neighbours, node, registered
from tests.sql.cases.steps import meanwhile, named, of_row
from tests.sql.world import LONG_AGO, NOW, World

NODE = "node.id is not none"


def seed(w: World) -> None:
    neighbours(w)
    nova.service(w, "removed service", HOST, LONG_AGO, deleted=9, deleted_at=LONG_AGO)
    node(w, "node", HOST)
    node(w, "other node", HOST)
    node(w, "removed node", HOST, deleted=3, deleted_at=LONG_AGO)
    w.params = {"node_id": w["node"]["id"], "node_uuid": w["node"]["uuid"], "seen": LONG_AGO, "host": HOST}
    w.expect("node", deleted=w["node"]["id"], deleted_at=NOW, mapped=0)


def never_updated(w: World) -> None:
    w.change("node", updated_at=None)
    w.params["seen"] = None


CASE = Case(
    file="compute_node_left.nova",
    tables=("services", "compute_nodes", "instances", "migrations"),
    seed=seed,
    variants={"never updated": never_updated, "not mapped": meanwhile("node", mapped=0)},
    flips=(
        *FLIPS,
        Flip("registered again", UNREGISTERED, registered),
        Flip("no node", NODE, named(node_id=None)),
        Flip("another node", NODE, of_row("node_id", "other node")),
        Flip("another node's uuid", NODE, of_row("node_uuid", "other node", "uuid")),
        Flip("a node of gpu-10", NODE, lambda w: w.params.update(
            node_id=w["node of gpu-10"]["id"], node_uuid=w["node of gpu-10"]["uuid"])),
        Flip("node removed already", NODE, lambda w: w.params.update(
            node_id=w["removed node"]["id"], node_uuid=w["removed node"]["uuid"])),
        *(Flip(f"host {h!r}", NODE, named(host=h)) for h in STRANGE),
        Flip("moved to another host", NODE, meanwhile("node", host="gpu-2")),
        Flip("moved to a host of another case", NODE, meanwhile("node", host="GPU-1")),
        Flip("updated since", None, meanwhile("node", updated_at=LONG_AGO + timedelta(seconds=1))),
        Flip("updated since for the first time", None, named(seen=None)),
    ),
)
