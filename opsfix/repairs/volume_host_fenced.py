"""A server on a fenced host maps a volume that is stuck: both sides are cleaned, nova's first."""

from __future__ import annotations

from opsfix.guards import enforced, is_, is_not
from opsfix.repair import Fallback, Repair
from opsfix.repairs.volume_common import ANSWERED, NOT_ROOT, ONE_MAPPING, ONE_SERVER, SETTLED
from opsfix.steps import DetachThroughNova

FENCED = is_("server.host_state", "fenced", in_sql=True)
MAPPED = is_not("mapping.id", None, in_sql=True)

REPAIR = Repair(
    symptom="volume-host-fenced",
    means="a server on a host that is down and fenced still maps a stuck volume",
    when=(is_("volume.stuck_mapping", True), is_("mapping.root", False), FENCED),
    only_if=(ANSWERED, ONE_SERVER, ONE_MAPPING, NOT_ROOT, SETTLED),
    api=(DetachThroughNova(),),
    fixed_when=(is_("mappings.live", 0),),
    fallback=Fallback(
        "volume_host_fenced.nova",
        (MAPPED, FENCED, enforced(NOT_ROOT), enforced(SETTLED), ANSWERED, ONE_SERVER),
    ),
)
