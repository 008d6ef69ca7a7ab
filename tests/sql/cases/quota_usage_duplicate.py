"""A second count of one resource."""

from __future__ import annotations

from tests.sql.cases import Case, Flip
from tests.sql.cases.quotas import FLIPS, LIVE, OTHER, PROJECT, TABLES, counts, reservation, reserved, resources, usage
from tests.sql.cases.steps import meanwhile, named, of_row, seen
from tests.sql.world import LONG_AGO, NOW, World

TWIN = "twin.id is not none"
KEPT = "twin.kept is not none"


def seed(w: World) -> None:
    """The earlier one was made without the key that prevents it."""
    counts(w)
    resources(w)
    usage(w, "twin", "volumes", 4, 1, race_preventer=None)
    usage(w, "kept", "volumes", 6)
    usage(w, "kept of another", "volumes", 6, project_id=OTHER, race_preventer=None)
    reservation(w, "over, of the twin", 60, deleted=1, usage_id=w["twin"]["id"])
    w.params = {
        "project_id": PROJECT, "twin_id": w["twin"]["id"], "kept_id": w["kept"]["id"], "resource": "volumes", "in_use": 4,
        "reserved": 1,
    }
    w.expect("twin", deleted=1, deleted_at=NOW, race_preventer=None)


def the_other_way(w: World) -> None:
    """The later one shall go."""
    w.params |= {"twin_id": w["kept"]["id"], "kept_id": w["twin"]["id"], "in_use": 6, "reserved": 0}


CASE = Case(
    file="quota_usage_duplicate.cinder",
    tables=TABLES,
    seed=seed,
    variants={
        "with the key": lambda w: (w.change("kept", race_preventer=None), w.change("twin", race_preventer=1)),
        "the same count": lambda w: (w.change("twin", in_use=6, reserved=0), w.params.update(in_use=6, reserved=0)),
        "negative": seen("twin", "in_use", -4, "in_use"),
    },
    flips=(
        *FLIPS,
        Flip("a reservation of it", LIVE, lambda w: reserved(60, project_id=OTHER, usage_id=w["twin"]["id"])(w)),
        Flip("removed", TWIN, meanwhile("twin", deleted=1, deleted_at=LONG_AGO)),
        Flip("was not read", TWIN, named(twin_id=None)),
        Flip("counted on", TWIN, meanwhile("twin", in_use=5)),
        Flip("reserved on", TWIN, meanwhile("twin", reserved=2)),
        Flip("another project's", TWIN, meanwhile("twin", project_id=OTHER)),
        Flip("another resource's", TWIN, meanwhile("twin", resource="VOLUMES")),
        Flip("another project", TWIN, named(project_id=OTHER)),
        Flip("another resource", TWIN, named(resource="volume")),
        Flip("the kept one is removed", KEPT, meanwhile("kept", deleted=1, deleted_at=LONG_AGO)),
        Flip("the kept one was not read", KEPT, named(kept_id=None)),
        Flip("the kept one is another project's", KEPT, of_row("kept_id", "kept of another")),
        Flip("the kept one is of another resource", KEPT, meanwhile("kept", resource="VOLUMES")),
        Flip("it is the kept one", KEPT, of_row("kept_id", "twin")),
        Flip("it is the later one", KEPT, the_other_way),
    ),
)
