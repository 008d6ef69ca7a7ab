"""Something is allocated to a consumer that nova does not have: a server or a migration that is long over."""

from __future__ import annotations

from opsfix.compute_steps import DeleteDeadAllocations
from opsfix.guards import is_
from opsfix.repair import Repair
from opsfix.repairs.placement_common import ONLY_NOVA, STILL

REPAIR = Repair(
    symptom="placement-allocation-orphaned",
    means="{consumer_holds} are allocated to a consumer that nova does not have",
    when=(is_("consumer.held", True), is_("consumer.standing", "dead")),
    only_if=(
        STILL,
        is_(
            "consumer.foreign", "none",
            "it holds {consumer_foreign}, which no server asks for: another service may use it, so delete it with"
            " 'openstack resource provider allocation delete {placement_id}' if it does not",
        ),
        ONLY_NOVA,
    ),
    api=(DeleteDeadAllocations(),),
    fixed_when=(is_("consumer.held", False),),
)
