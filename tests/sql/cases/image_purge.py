"""An image that glance cannot delete, and of which no store has anything."""

from __future__ import annotations

from tests.sql.cases import Case, Flip, Step, glance
from tests.sql.cases.glance import DELETED, IMAGE, OTHER_IMAGE, STATUSES, belongings, image, location
from tests.sql.cases.steps import meanwhile, named, seen, without
from tests.sql.world import NOW, World

LIVE = "image.live is True"
NOT_WAITING = "image.waits is False"
UNPROTECTED = "image.protected is False"
NO_DATA = "locations.referenced is 0"


def seed(w: World) -> None:
    """An image without data, with all that hangs on it; and others in the very same state, one of which has data."""
    image(w, "image", IMAGE)
    location(w, "taken", IMAGE, "deleted", **DELETED)
    location(w, "taken, not ended", IMAGE, "deleted")
    live = belongings(w, IMAGE, "")
    image(w, "other", OTHER_IMAGE)
    location(w, "of the other", OTHER_IMAGE, "active")
    location(w, "of the other, waiting", OTHER_IMAGE, "pending_delete", **DELETED)
    belongings(w, OTHER_IMAGE, "other ")
    image(w, "waiting", "1a6e0000-0000-4000-8000-0000000000de", status="pending_delete", **DELETED)
    w.params = {"image_id": IMAGE, "image_status": "queued"}
    w.expect("image", status="deleted", deleted=1, deleted_at=NOW, updated_at=NOW)
    for name in ("taken, not ended", *live):
        w.expect(name, deleted=1, deleted_at=NOW)


def has(status: str, **values: object) -> Step:
    """A store has data of it."""
    return lambda w: location(w, f"{status} {values}", IMAGE, status, **values)


CASE = Case(
    file="image_purge.glance",
    tables=glance.TABLES,
    seed=seed,
    variants={
        **{f"it is {status}": seen("image", "status", status, "image_status") for status in STATUSES},
        "nothing hangs on it": without("taken", "taken, not ended", "property", "member", "tag"),
        "public and hidden": meanwhile("image", visibility="public", os_hidden=1),
        "named by nobody": lambda w: w.change("image", name=None, owner=None),
    },
    flips=(
        Flip("it was deleted", LIVE, meanwhile("image", **DELETED)),
        Flip("it waits for the scrubber", NOT_WAITING, seen("image", "status", "pending_delete", "image_status")),
        Flip("it was protected", UNPROTECTED, meanwhile("image", protected=1)),
        Flip("a store has its data", NO_DATA, has("active")),
        Flip("a store of several has it", NO_DATA, lambda w: (has("deleted", **DELETED)(w), has("active")(w))),
        Flip("its data waits for the scrubber", NO_DATA, has("pending_delete", **DELETED)),
        Flip("its data waits, in a live location", NO_DATA, has("pending_delete")),
        *(Flip(f"it became {s}", None, meanwhile("image", status=s)) for s in STATUSES if s != "queued"),
        Flip("another status was seen", None, named(image_status="saving")),
        Flip("no status was seen", None, named(image_status=None)),
        *(Flip(f"image {i!r}", None, named(image_id=i)) for i in ("", "%", None, IMAGE[:-1], "1a6e0000-0000-4000-8000-0000000000de")),
        Flip("another image, which has data", None, named(image_id=OTHER_IMAGE)),
    ),
)
