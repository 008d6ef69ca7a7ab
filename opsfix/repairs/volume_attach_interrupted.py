"""An attach that stopped half-way: cinder is told that it took place, and nova then detaches both sides."""

from __future__ import annotations

from opsfix.guards import is_, is_not, one_of
from opsfix.repair import Repair
from opsfix.repairs.volume_common import ANSWERED, HOST_UP, IDLE, NOT_ROOT, ONE_SERVER, SETTLED
from opsfix.steps import CompleteAttachment, DetachThroughNova

REPAIR = Repair(
    symptom="volume-attach-interrupted",
    means="an attach stopped after a host was given the disk",
    when=(
        one_of("volume.status", "attaching", "reserved", "available"),
        is_not("attachments.mapped", 0),
        is_("attachments.mapped_connected", True),
    ),
    only_if=(
        ANSWERED, ONE_SERVER, NOT_ROOT, SETTLED, HOST_UP, IDLE,
        is_not("attachments.mapped_id", None, "server {server_id} maps it through several attachments: detach them one by one"),
        is_("server.detach", "possible", "nova cannot detach it: {server_detach}"),
    ),
    api=(CompleteAttachment(), DetachThroughNova()),
    fixed_when=(is_("mappings.live", 0), is_("attachments.live", 0), is_("volume.status", "available")),
    enough_when=(is_("volume.status", "in-use"), is_not("attachments.mapped", 0)),
)
