"""A resource provider of a node that nova does not have any more: the scheduler offers it, and its name is taken."""

from __future__ import annotations

from opsfix.compute_steps import DeleteDeadAllocations, DeleteProviders
from opsfix.guards import Guard, is_, is_not, one_of
from opsfix.repair import Repair
from opsfix.repairs.compute_provider_left import NOT_USED
from opsfix.repairs.placement_common import ONLY_NOVA, STILL

NO_NODE = one_of("provider.node", "removed", "none")
NO_DOUBT = is_(
    "allocations.unproven", 0,
    "{allocations_unproven} consumers of it are not proven dead ({allocations_unproven_names}): end or move each first",
)
GUARDS: tuple[Guard, ...] = (STILL, NO_NODE, NO_DOUBT, NOT_USED, ONLY_NOVA)
LEFT = is_("provider.left", True)

REPAIRS = (
    Repair(
        symptom="placement-provider-left",
        means="consumers that nova does not have hold resources of a provider without a node",
        when=(LEFT, is_not("allocations.dead", 0)),
        only_if=GUARDS,
        api=(DeleteDeadAllocations(),),
        fixed_when=(is_("allocations.dead", 0),),
    ),
    Repair(
        symptom="placement-provider-left",
        means="nova has no node of the resource provider {provider_name}",
        when=(LEFT, is_("allocations.unseen", 0)),
        only_if=GUARDS,
        api=(DeleteProviders(),),
        fixed_when=(is_("providers.count", 0),),
    ),
)
