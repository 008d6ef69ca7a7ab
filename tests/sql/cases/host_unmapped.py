"""A host that no cell has, and that is mapped to one."""

from __future__ import annotations

from tests.sql.cases import Case, Flip
from tests.sql.cases.computes import HOST
from tests.sql.cases.steps import named
from tests.sql.world import NOW, World

UNMAPPED = "host.mapping is none"


def seed(w: World) -> None:
    for name in ("cell0", "cell1", "cell2"):
        w.add(name, "cell_mappings", uuid=f"uuid-of-{name}", name=name)
    for host in ("gpu-10", "gpu-1.site-b"):
        w.add(host, "host_mappings", cell_id=w["cell1"]["id"], host=host)
    w.params = {"host": HOST, "cell_id": "uuid-of-cell1"}
    w.expect_new("host_mappings", "host", host=HOST, cell_id=w["cell1"]["id"], created_at=NOW, updated_at=None)


def mapped(w: World, cell: str = "cell1", host: str = HOST) -> None:
    w.add("own", "host_mappings", cell_id=w[cell]["id"], host=host)


CASE = Case(
    file="host_unmapped.nova_api",
    tables=("cell_mappings", "host_mappings"),
    seed=seed,
    flips=(
        Flip("mapped meanwhile", UNMAPPED, mapped),
        Flip("mapped to another cell", UNMAPPED, lambda w: mapped(w, "cell2")),
        Flip("mapped in another case", UNMAPPED, lambda w: mapped(w, host=HOST.upper())),
        Flip("the mapping of gpu-10", UNMAPPED, named(host="gpu-10")),
        Flip("a cell that is gone", None, named(cell_id="uuid-of-cell3")),
        Flip("the cell was not read", None, named(cell_id=None)),
    ),
)
