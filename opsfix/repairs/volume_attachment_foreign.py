"""An attachment of something that is no server of nova: a bare host, an image store."""

from __future__ import annotations

from opsfix.guards import is_not, one_of
from opsfix.repair import Repair
from opsfix.repairs.volume_common import NO_FOREIGN

REPAIR = Repair(
    symptom="volume-attachment-foreign",
    means="something that is no server of nova has the volume attached",
    when=(one_of("volume.status", "attaching", "detaching", "reserved", "available"), is_not("attachments.foreign", 0)),
    only_if=(NO_FOREIGN,),
)
