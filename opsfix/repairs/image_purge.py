"""The image itself, its data and its row, once nobody needs it."""

from __future__ import annotations

from opsfix.guards import is_
from opsfix.image_steps import DeleteImage, ForgetCachedImage, UnprotectImage
from opsfix.repair import Fallback, Repair
from opsfix.repairs.image_common import DELETABLE, SHOWN, UNUSED

LIVE = is_("image.live", True, in_sql=True)
NOT_WAITING = is_("image.waits", False, in_sql=True)
UNPROTECTED = is_("image.protected", False, "it is protected again: unprotect it by hand before the SQL", in_sql=True)
NO_DATA = is_(
    "locations.referenced", 0,
    "a store may still have its data ({locations_referenced} locations), which nothing would ever remove once the row is gone:"
    " let glance reach the store and delete it there",
    in_sql=True,
)

REPAIR = Repair(
    symptom="image-purge",
    means="the image is {image_status} and shall go",
    when=(LIVE,),
    only_if=DELETABLE,
    api=(ForgetCachedImage(), UnprotectImage(), DeleteImage()),
    fixed_when=(is_("image.gone", True, "glance still has it ({image_status})"),),
    fallback=Fallback(
        "image_purge.glance",
        (LIVE, NOT_WAITING, NO_DATA, UNPROTECTED, SHOWN, *UNUSED, is_("cached.count", 0)),
    ),
)
