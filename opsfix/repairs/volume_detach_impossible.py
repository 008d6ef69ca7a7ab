"""A detach that nova would refuse: the volume is called in-use again, which it never ceased to be."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.repair import Repair
from opsfix.repairs.volume_common import ANSWERED, SETTLED
from opsfix.steps import RollDetaching

REPAIR = Repair(
    symptom="volume-detach-impossible",
    means="the volume is detaching from a server that cannot let it go",
    when=(is_("volume.status", "detaching"), is_not("attachments.mapped", 0), is_not("server.detach", "possible")),
    only_if=(ANSWERED, SETTLED),
    api=(RollDetaching(),),
    fixed_when=(is_("volume.status", "in-use"),),
)
