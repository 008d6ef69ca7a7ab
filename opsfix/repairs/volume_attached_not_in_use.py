"""cinder has the attachment, nova maps it, and yet cinder does not call the volume in-use."""

from __future__ import annotations

from opsfix.guards import is_, is_not, one_of
from opsfix.repair import Repair
from opsfix.repairs.volume_common import ANSWERED, SETTLED
from opsfix.steps import ResetVolume

REPAIR = Repair(
    symptom="volume-attached-not-in-use",
    means="the volume is attached, by cinder's attachment and nova's mapping, but not called in-use",
    when=(
        one_of("volume.status", "available", "attaching", "reserved"),
        is_not("attachments.mapped", 0),
        is_("attachments.mapped_status", "attached"),
    ),
    only_if=(ANSWERED, SETTLED),
    api=(ResetVolume("in-use", "attached"),),
    fixed_when=(is_("volume.status", "in-use"), is_not("attachments.mapped", 0)),
)
