"""A build request that no living mapping stands for."""

from __future__ import annotations

from tests.sql.cases import Case, Flip, api
from tests.sql.cases.nova import OTHER_SERVER, SERVER
from tests.sql.cases.steps import meanwhile, named
from tests.sql.world import LONG_AGO, World

REQUESTED = "request.id is not none"
NOT_MAPPED = "mapping.state is not live"


def seed(w: World) -> None:
    """The server is deleted, its request is left; the other one is being built."""
    api.seed(w, queued=1)
    w.change("other mapping", queued_for_delete=0)
    api.request(w, "request", SERVER)
    api.request(w, "other request", OTHER_SERVER)
    w.params = {"server_id": SERVER, "request_id": w["request"]["id"], "created_at": LONG_AGO}
    w.expect_gone("request")


CASE = Case(
    file="instance_request_left.nova_api",
    tables=api.TABLES,
    seed=seed,
    variants={
        "never mapped": lambda w: w.remove("mapping"),
        "no time": lambda w: (w.change("request", created_at=None), w.params.update(created_at=None)),
    },
    flips=(
        Flip("no request", REQUESTED, named(request_id=None)),
        Flip("another request", REQUESTED, lambda w: (w.params.update(request_id=w["other request"]["id"]), w.remove("other mapping"))),
        Flip("request of another server", REQUESTED, named(server_id="none")),
        Flip("made anew", REQUESTED, meanwhile("request", created_at=LONG_AGO.replace(hour=1))),
        *(Flip(f"queued is {v}", NOT_MAPPED, meanwhile("mapping", queued_for_delete=v)) for v in (0, None)),
    ),
)
