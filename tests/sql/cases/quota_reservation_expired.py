"""Reservations that have expired."""

from __future__ import annotations

from tests.sql.cases import Case, Flip
from tests.sql.cases.quotas import LIVE, OTHER, PROJECT, TABLES, counts, reservation, reserved, resources, usage
from tests.sql.cases.steps import meanwhile, named
from tests.sql.world import LONG_AGO, NOW, World

EXPIRED = "reservations.expired is not 0"


def seed(w: World) -> None:
    """Two of them, one that took something back; another project has the same."""
    counts(w)
    resources(w)
    usage(w, "usage", "volumes", 6, 1)
    reservation(w, "one", -60, usage_id=w["usage"]["id"])
    reservation(w, "less", -86400, delta=-1, usage_id=w["usage"]["id"])
    reservation(w, "expired and removed", -60, deleted=1, deleted_at=LONG_AGO)
    reservation(w, "expired of another", -60, project_id=OTHER)
    w.params = {"project_id": PROJECT}
    for name in ("one", "less"):
        w.expect(name, deleted=1, deleted_at=NOW)


CASE = Case(
    file="quota_reservation_expired.cinder",
    tables=TABLES,
    seed=seed,
    variants={"no count": lambda w: w.change("usage", deleted=1)},
    flips=(
        Flip("a live one", LIVE, reserved(60)),
        Flip("one without an end", LIVE, reserved(None)),
        Flip("removed", EXPIRED, lambda w: [w.change(n, deleted=1, deleted_at=LONG_AGO) for n in ("one", "less")] and None),
        Flip("another project's", EXPIRED, lambda w: [w.change(n, project_id="x") for n in ("one", "less")] and None),
        Flip("no project", EXPIRED, named(project_id=None)),
        Flip("prolonged", None, meanwhile("one", expire="2999-01-01 00:00:00")),
    ),
)
