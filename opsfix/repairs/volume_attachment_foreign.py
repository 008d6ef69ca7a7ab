"""An attachment of something that is no server of nova: a bare host, an image store."""

from __future__ import annotations

from opsfix.guards import is_, is_not, one_of
from opsfix.repair import Repair

REPAIR = Repair(
    symptom="volume-attachment-foreign",
    means="something that is no server of nova has the volume attached",
    when=(one_of("volume.status", "attaching", "detaching", "reserved", "available"), is_not("attachments.foreign", 0)),
    only_if=(is_(
        "attachments.foreign", 0,
        "an attachment of it names no server: a host, an image store or another consumer of cinder uses it, so ask that one",
    ),),
)
