"""An image that glance has deleted and whose data waits for glance-scrubber (delayed_delete)."""

from __future__ import annotations

from opsfix.guards import enforced, is_
from opsfix.repair import Fallback, Repair

WAITS = is_("image.waits", True)
SCRUBBED = is_(
    "locations.unfinished", 0,
    "glance has deleted it, and only glance-scrubber takes its data from the store: run glance-scrubber, or bring the image"
    " back with 'glance-scrubber --restore {image_id}'",
)

REPAIR = Repair(
    symptom="image-pending-delete",
    means="glance-scrubber has taken the image's data and has not ended its deletion",
    when=(WAITS, is_("image.left_waiting", True)),
    only_if=(SCRUBBED,),
    fixed_when=(is_("image.waits", False),),
    fallback=Fallback("image_pending_delete.glance", (enforced(WAITS), enforced(SCRUBBED))),
)
