"""Allocations without a consumer's record: placement counts them and lists them nowhere, so no call can delete them."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.repair import Fallback, Repair
from opsfix.repairs.compute_common import GONE_FOR_GOOD

REPAIR = Repair(
    symptom="compute-allocation-left",
    means="resources of the host are held by consumers of which placement has no record",
    when=(is_not("allocations.unseen", 0),),
    only_if=GONE_FOR_GOOD,
    fixed_when=(is_("allocations.unseen", 0),),
    fallback=Fallback(
        "compute_allocation_left.placement",
        (is_not("unseen.consumer", None, in_sql=True), is_("allocations.unproven", 0)),
        one_of_many=True,
    ),
)
