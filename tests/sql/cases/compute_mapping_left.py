"""A host that is gone and still mapped to a cell."""

from __future__ import annotations

from tests.sql.cases import Case, Flip
from tests.sql.cases.computes import HOST, STRANGE
from tests.sql.cases.steps import named, of_row
from tests.sql.world import World

MAPPED = "host_mapping.id is not none"


def seed(w: World) -> None:
    for name in ("cell0", "cell1"):
        w.add(name, "cell_mappings", uuid=f"uuid-of-{name}", name=name)
    for host in (HOST, "gpu-10", "gpu-1.site-b"):
        w.add(host, "host_mappings", cell_id=w["cell1"]["id"], host=host)
    w.params = {"mapping_id": w[HOST]["id"], "cell_id": "uuid-of-cell1", "host": HOST}
    w.expect_gone(HOST)


CASE = Case(
    file="compute_mapping_left.nova_api",
    tables=("cell_mappings", "host_mappings"),
    seed=seed,
    flips=(
        Flip("no mapping", MAPPED, named(mapping_id=None)),
        Flip("the mapping of gpu-10", MAPPED, of_row("mapping_id", "gpu-10")),
        *(Flip(f"host {h!r}", MAPPED, named(host=h)) for h in STRANGE),
        Flip("renamed", MAPPED, lambda w: w.change(HOST, host="GPU-1")),
        Flip("mapped to another cell", MAPPED, lambda w: w.change(HOST, cell_id=w["cell0"]["id"])),
        Flip("another cell", MAPPED, named(cell_id="uuid-of-cell0")),
        Flip("the cell was not read", MAPPED, named(cell_id=None)),
    ),
)
