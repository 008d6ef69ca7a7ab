"""The volume is attached to one server, and another one maps it too, through an attachment that cinder does not have."""

from __future__ import annotations

from opsfix.guards import enforced, is_
from opsfix.repair import Fallback, Repair
from opsfix.repairs.mapping_common import DETACHABLE, MAPPED
from opsfix.repairs.volume_common import ANSWERED, HOST_UP, IDLE, NOT_ROOT, ONE_SERVER, SETTLED
from opsfix.repairs.volume_host_fenced import FENCED
from opsfix.steps import DetachThroughNova, RollDetaching

MEANS = "a second server maps the volume, through an attachment that cinder does not have"
ELSEWHERE = is_("volume.elsewhere", True)
ASKED = is_(
    "detach.asked", True,
    "the guest of server {server_id} may use the disk as well as the one that cinder knows of, and only one of them may write:"
    " stop both if you do not know which data is the good one; to take it from server {server_id}, repeat with --detach",
)
NONE_DANGLING = is_("mappings.dangling", 0)

REPAIRS = (
    Repair(
        symptom="mapping-elsewhere",
        means=MEANS,
        when=(ELSEWHERE, FENCED),
        only_if=(ANSWERED, ONE_SERVER, NOT_ROOT, SETTLED),
        fixed_when=(NONE_DANGLING,),
        fallback=Fallback(
            "volume_host_fenced.nova",
            (MAPPED, FENCED, enforced(NOT_ROOT), enforced(SETTLED), ANSWERED, ONE_SERVER),
            one_of_many=True,
        ),
    ),
    Repair(
        symptom="mapping-elsewhere",
        means=MEANS,
        when=(ELSEWHERE,),
        only_if=(ANSWERED, NOT_ROOT, SETTLED, HOST_UP, IDLE, DETACHABLE, ASKED),
        api=(RollDetaching(), DetachThroughNova(), RollDetaching()),
        fixed_when=(NONE_DANGLING,),
    ),
)
