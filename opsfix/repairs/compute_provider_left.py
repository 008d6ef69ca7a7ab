"""A resource provider that outlived its host: its name is taken, so nova-compute cannot make its own again."""

from __future__ import annotations

from opsfix.compute_steps import DeleteProviders
from opsfix.guards import is_, is_not
from opsfix.repair import Repair
from opsfix.repairs.compute_common import GONE_FOR_GOOD

NOT_USED = is_(
    "allocations.elsewhere", 0,
    "{allocations_elsewhere} live servers of other hosts still hold resources of it, left by an evacuation:"
    " {allocations_elsewhere_names}",
)

REPAIR = Repair(
    symptom="compute-provider-left",
    means="resource providers are left of a host that nova no longer has",
    when=(
        is_not("providers.count", 0), is_("service.uuid", None), is_("node.id", None), is_("allocations.dead", 0),
        is_("allocations.unseen", 0),
    ),
    only_if=(*GONE_FOR_GOOD, NOT_USED),
    api=(DeleteProviders(),),
    fixed_when=(is_("providers.count", 0),),
)
