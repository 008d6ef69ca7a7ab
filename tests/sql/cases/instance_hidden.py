"""A mapping without a cell, of a server that one cell has."""

from __future__ import annotations

from tests.sql.cases import Case, Flip, api
from tests.sql.cases.api import CELL, OTHER_CELL
from tests.sql.cases.nova import OTHER_SERVER, SERVER
from tests.sql.cases.steps import named
from tests.sql.world import NOW, World

MAPPED = "mapping.id is not none"
MENDABLE = "mapping.mendable is True"


def seed(w: World) -> None:
    """Two such mappings; a build of another server is under way."""
    api.seed(w, queued=0, cell=False)
    api.request(w, "other request", OTHER_SERVER)
    w.params["cell"] = CELL
    w.expect("mapping", cell_id=w["cell"]["id"], updated_at=NOW)


CASE = Case(
    file="instance_hidden.nova_api",
    tables=api.TABLES,
    seed=seed,
    variants={
        "the other cell": lambda w: (
            w.params.update(cell=OTHER_CELL), w.expect("mapping", cell_id=w["other cell"]["id"], updated_at=NOW)
        ),
    },
    flips=(
        Flip("no mapping", MAPPED, named(mapping_id=None)),
        Flip("another mapping", MAPPED, lambda w: w.params.update(mapping_id=w["other mapping"]["id"])),
        Flip("mapping of another server", MAPPED, named(server_id="none")),
        Flip("mapped meanwhile", MENDABLE, lambda w: w.change("mapping", cell_id=w["other cell"]["id"])),
        Flip("no such cell", None, named(cell="none")),
        Flip("being built", MENDABLE, lambda w: api.request(w, "request", SERVER)),
    ),
)
