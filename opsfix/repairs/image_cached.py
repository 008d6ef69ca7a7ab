"""cinder keeps copies of the image, from which it would go on making volumes."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.image_steps import EvictCached
from opsfix.repair import Repair
from opsfix.repairs.image_common import DELETABLE

REPAIR = Repair(
    symptom="image-cached",
    means="cinder keeps {cached_count} cached copies of the image",
    when=(is_("image.shown", True), is_not("cached.count", 0)),
    only_if=(
        *DELETABLE,
        is_("cached.backends", "up", "cinder-volume of its cached copies ({cached_ids}) is {cached_backends}: start it first"),
    ),
    api=(EvictCached(),),
    fixed_when=(is_("cached.count", 0, "cinder still has cached copies of it: {cached_ids}"),),
)
