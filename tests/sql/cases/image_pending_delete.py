"""An image whose data glance-scrubber has taken, and whose status it did not set."""

from __future__ import annotations

from tests.sql.cases import Case, Flip, Step, glance
from tests.sql.cases.glance import DELETED, IMAGE, OTHER_IMAGE, STATUSES, belongings, image, location
from tests.sql.cases.steps import meanwhile, named, without
from tests.sql.world import NOW, World

WAITS = "image.waits is True"
SCRUBBED = "locations.unfinished is 0"


def seed(w: World) -> None:
    """An image without data, and another one whose data still waits."""
    image(w, "image", IMAGE, status="pending_delete", **DELETED)
    location(w, "taken", IMAGE, "deleted", **DELETED)
    location(w, "taken too", IMAGE, "deleted", **DELETED)
    belongings(w, IMAGE, "")
    image(w, "other", OTHER_IMAGE, status="pending_delete", **DELETED)
    location(w, "of the other", OTHER_IMAGE, "pending_delete", **DELETED)
    image(w, "live", "1a6e0000-0000-4000-8000-00000000000c", status="active")
    w.params = {"image_id": IMAGE}
    w.expect("image", status="deleted", updated_at=NOW)


def left(status: str, **values: object) -> Step:
    """A location of it is not done."""
    return lambda w: location(w, f"{status} {values}", IMAGE, status, **values)


CASE = Case(
    file="image_pending_delete.glance",
    tables=glance.TABLES,
    seed=seed,
    variants={"it never had a location": without("taken", "taken too")},
    flips=(
        Flip("it was restored", WAITS, meanwhile("image", status="active", deleted=0, deleted_at=None)),
        Flip("it is being restored", WAITS, meanwhile("image", deleted=0, deleted_at=None)),
        *(Flip(f"it became {s}", WAITS, meanwhile("image", status=s)) for s in STATUSES),
        Flip("its data waits", SCRUBBED, left("pending_delete", **DELETED)),
        Flip("a location is live", SCRUBBED, left("active")),
        Flip("a location was removed with its data", SCRUBBED, left("active", **DELETED)),
        Flip("one of three was restored", SCRUBBED, meanwhile("taken", status="active", deleted=0, deleted_at=None)),
        *(Flip(f"image {i!r}", None, named(image_id=i)) for i in ("", "%", None, IMAGE[:-1], OTHER_IMAGE)),
    ),
)
