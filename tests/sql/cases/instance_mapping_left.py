"""The mapping of a server that no cell has."""

from __future__ import annotations

from tests.sql.cases import Case, Flip, api
from tests.sql.cases.nova import OTHER_SERVER, SERVER
from tests.sql.cases.steps import meanwhile, named
from tests.sql.world import NOW, World

MAPPED = "mapping.state is live"


def seed(w: World) -> None:
    """Two mappings and two requests."""
    api.seed(w, queued=0)
    api.request(w, "request", SERVER)
    api.request(w, "other request", OTHER_SERVER)
    w.expect("mapping", queued_for_delete=1, updated_at=NOW)
    w.expect_gone("request")


CASE = Case(
    file="instance_mapping_left.nova_api",
    tables=api.TABLES,
    seed=seed,
    variants={
        "never counted": meanwhile("mapping", queued_for_delete=None),
        "no cell": meanwhile("mapping", cell_id=None),
        "no request": lambda w: (w.remove("request"), w.expect_untouched("request")),
    },
    flips=(
        Flip("queued meanwhile", MAPPED, meanwhile("mapping", queued_for_delete=1)),
        Flip("no mapping", MAPPED, named(mapping_id=None)),
        Flip("another mapping", MAPPED, lambda w: w.params.update(mapping_id=w["other mapping"]["id"])),
        Flip("mapping of another server", MAPPED, named(server_id="none")),
    ),
)
