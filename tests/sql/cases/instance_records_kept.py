"""What nova's API database keeps of a server whose rows are gone."""

from __future__ import annotations

from tests.sql.cases import Case, Flip, api
from tests.sql.cases.nova import OTHER_SERVER, SERVER
from tests.sql.cases.steps import meanwhile, named
from tests.sql.world import World

QUEUED = "mapping.state is queued"


def seed(w: World) -> None:
    """Two deleted servers of one group."""
    api.seed(w, queued=1)
    w.add("group", "instance_groups")
    for name, server_id in (("", SERVER), ("other ", OTHER_SERVER)):
        api.request(w, f"{name}request", server_id)
        w.add(f"{name}spec", "request_specs", instance_uuid=server_id, spec="{}")
        w.add(f"{name}member", "instance_group_member", instance_uuid=server_id, group_id=w["group"]["id"])
    for name in ("mapping", "request", "spec", "member"):
        w.expect_gone(name)


CASE = Case(
    file="instance_records_kept.nova_api",
    tables=api.TABLES,
    seed=seed,
    variants={"nothing but the mapping": lambda w: [
        (w.remove(name), w.expect_untouched(name)) for name in ("request", "spec", "member")
    ]},
    flips=(
        *(Flip(f"queued is {v}", QUEUED, meanwhile("mapping", queued_for_delete=v)) for v in (0, None)),
        Flip("no mapping", QUEUED, named(mapping_id=None)),
        Flip("another mapping", QUEUED, lambda w: w.params.update(mapping_id=w["other mapping"]["id"])),
        Flip("mapping of another server", QUEUED, named(server_id="none")),
    ),
)
