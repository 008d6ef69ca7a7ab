"""nova maps a volume that cinder calls busy, though cinder has no attachment of it: nobody else can take it, and nova cannot
let go of it. cinder is told that it is attached, and nova then detaches; it is never called available meanwhile."""

from __future__ import annotations

from opsfix.guards import enforced, is_, one_of
from opsfix.repair import Fallback, Repair
from opsfix.repairs.mapping_common import ASKED, DETACHABLE, GUEST, HELD_IN_SQL, UNATTACHED
from opsfix.repairs.volume_common import ANSWERED, HOST_UP, IDLE, NOT_ROOT, ONE_MAPPING, ONE_SERVER, SETTLED
from opsfix.steps import DetachThroughNova, ResetVolume, RollDetaching

REPAIR = Repair(
    symptom="mapping-unheld",
    means="nova maps the volume, cinder has no attachment of it and calls it busy",
    when=(
        is_("volume.mapping_dangling", True),
        is_("attachments.live", 0),
        one_of("volume.status", "attaching", "detaching", "reserved", "in-use"),
    ),
    only_if=(ANSWERED, ONE_SERVER, ONE_MAPPING, NOT_ROOT, SETTLED, IDLE, ASKED),
    api=(ResetVolume("detaching", "attached"), RollDetaching(), DetachThroughNova()),
    api_if=(HOST_UP, DETACHABLE),
    fixed_when=(is_("mappings.live", 0),),
    fallback=Fallback(
        "mapping_unheld.nova", (*HELD_IN_SQL, enforced(IDLE), GUEST, UNATTACHED, ANSWERED, ONE_SERVER),
    ),
)
