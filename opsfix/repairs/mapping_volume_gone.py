"""nova maps a volume that cinder has no more: no API can take such a mapping away."""

from __future__ import annotations

from opsfix.guards import enforced, is_
from opsfix.repair import Fallback, Repair
from opsfix.repairs.mapping_common import GUEST, HELD_IN_SQL, MAPPED, UNATTACHED
from opsfix.repairs.volume_common import ANSWERED, IDLE, NOT_ROOT, ONE_SERVER, SETTLED
from opsfix.repairs.volume_host_fenced import FENCED

MEANS = "nova maps a volume that cinder does not have any more"
GONE = is_("volume.gone", True)
UNMAPPED = is_("mappings.live", 0)

REPAIRS = (
    Repair(
        symptom="mapping-volume-gone",
        means=MEANS,
        when=(GONE, FENCED),
        only_if=(ANSWERED, ONE_SERVER, NOT_ROOT, SETTLED),
        fixed_when=(UNMAPPED,),
        fallback=Fallback(
            "volume_host_fenced.nova",
            (MAPPED, FENCED, enforced(NOT_ROOT), enforced(SETTLED), ANSWERED, ONE_SERVER),
            one_of_many=True,
        ),
    ),
    Repair(
        symptom="mapping-volume-gone",
        means=MEANS,
        when=(GONE,),
        only_if=(ANSWERED, ONE_SERVER, NOT_ROOT, SETTLED, IDLE, GUEST),
        fixed_when=(UNMAPPED,),
        fallback=Fallback(
            "mapping_unheld.nova", (*HELD_IN_SQL, enforced(IDLE), GUEST, UNATTACHED, ANSWERED, ONE_SERVER),
            one_of_many=True,
        ),
    ),
)
