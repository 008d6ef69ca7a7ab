"""A detach that hangs: rolled back to in-use, and asked again through nova."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.repair import Repair
from opsfix.repairs.volume_common import ANSWERED, HOST_UP, IDLE, SETTLED
from opsfix.steps import DetachThroughNova, RollDetaching

REPAIR = Repair(
    symptom="volume-detach-hung",
    means="the volume is detaching, and the server still maps it",
    when=(is_("volume.status", "detaching"), is_not("attachments.mapped", 0)),
    only_if=(ANSWERED, SETTLED, HOST_UP, IDLE),
    api=(RollDetaching(), DetachThroughNova()),
    fixed_when=(is_("mappings.live", 0), is_("attachments.live", 0), is_("volume.status", "available")),
    enough_when=(is_("volume.status", "in-use"), is_not("attachments.mapped", 0)),
)
