"""An attach that no host ever took up: nova's mapping goes first, cinder's reservation after it."""

from __future__ import annotations

from opsfix.guards import enforced, is_, is_not, none_of, one_of
from opsfix.repair import Fallback, Repair
from opsfix.repairs.volume_common import ANSWERED, HOST_UP, IDLE, NOT_ROOT, ONE_MAPPING, ONE_SERVER, SETTLED

NEVER = is_("mapping.connected", False, "nova's mapping has connection data, so the host had the disk: detach it through nova", in_sql=True)
RESERVED = is_("attachments.mapped_connected", False)

REPAIR = Repair(
    symptom="volume-attach-never-started",
    means="nova maps the volume and cinder reserved it, but no host was ever given the disk",
    when=(
        one_of("volume.status", "attaching", "reserved", "available"),
        is_not("attachments.mapped", 0),
        RESERVED,
        none_of("server.vm_state", "shelved_offloaded", "shelved"),
    ),
    only_if=(ANSWERED, ONE_SERVER, ONE_MAPPING, NOT_ROOT, SETTLED, HOST_UP, IDLE),
    fixed_when=(is_("mappings.live", 0),),
    fallback=Fallback(
        "volume_attach_never_started.nova",
        (
            is_not("mapping.id", None, in_sql=True), NEVER, enforced(NOT_ROOT), enforced(SETTLED), enforced(IDLE), RESERVED,
            ANSWERED, ONE_SERVER, HOST_UP,
        ),
    ),
)
