"""A host that is gone and still in aggregates."""

from __future__ import annotations

from tests.sql.cases import Case, Flip
from tests.sql.cases.computes import HOST, OTHERS
from tests.sql.cases.steps import named, of_row
from tests.sql.world import World

LISTED = "aggregate.id is not none"


def seed(w: World) -> None:
    for name in ("one", "two", "empty"):
        w.add(name, "aggregates", name=name)
    for name in ("one", "two"):
        w.add(f"{name}'s", "aggregate_hosts", aggregate_id=w[name]["id"], host=HOST)
    for host in ("gpu-10", "gpu-1.site-b"):
        w.add(host, "aggregate_hosts", aggregate_id=w["one"]["id"], host=host)
    w.add("case", "aggregate_hosts", aggregate_id=w["empty"]["id"], host="GPU-1")
    w.params = {"aggregate_id": w["one"]["id"], "host": HOST}
    w.expect_gone("one's")


CASE = Case(
    file="compute_aggregate_left.nova_api",
    tables=("aggregates", "aggregate_hosts"),
    seed=seed,
    flips=(
        Flip("no aggregate", LISTED, named(aggregate_id=None)),
        Flip("an aggregate of GPU-1", LISTED, of_row("aggregate_id", "empty")),
        *(Flip(f"host {h!r}", LISTED, named(host=h)) for h in (*set(OTHERS) - {"gpu-10", "gpu-1.site-b"}, "gpu-_", "%", "", None)),
        Flip("out already", LISTED, lambda w: w.remove("one's")),
    ),
)
