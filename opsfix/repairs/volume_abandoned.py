"""cinder calls the volume busy, and nobody has it: no attachment, no mapping."""

from __future__ import annotations

from opsfix.guards import is_, one_of
from opsfix.repair import Fallback, Repair
from opsfix.steps import ResetVolume

STUCK = one_of("volume.status", "attaching", "detaching", "reserved", "in-use", in_sql=True)
NO_ATTACHMENT = is_("attachments.live", 0, in_sql=True)
NO_MAPPING = is_("mappings.live", 0)

REPAIR = Repair(
    symptom="volume-abandoned",
    means="the volume is not free, and neither cinder has an attachment nor nova a mapping of it",
    when=(STUCK, NO_ATTACHMENT, NO_MAPPING),
    api=(ResetVolume("available", "detached"),),
    fixed_when=(is_("volume.status", "available"), NO_ATTACHMENT, NO_MAPPING),
    fallback=Fallback("volume_abandoned.cinder", (STUCK, NO_ATTACHMENT, is_("volume.migration", "none", in_sql=True), NO_MAPPING)),
)
