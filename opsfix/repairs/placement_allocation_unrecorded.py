"""Allocations without a consumer's record: placement counts them and lists them nowhere, whoever they were of."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.repair import Repair
from opsfix.repairs import compute_allocation_left
from opsfix.repairs.placement_common import STILL

REPAIR = Repair(
    symptom="placement-allocation-unrecorded",
    means="placement counts resources for a consumer of which it has no record",
    when=(is_not("allocations.unseen", 0),),
    only_if=(
        STILL,
        is_(
            "allocations.unproven", 0,
            "{allocations_unproven_names}: what it holds is not left over, and 'placement-manage db online_data_migrations' gives"
            " it a record",
        ),
    ),
    fixed_when=(is_("allocations.unseen", 0),),
    fallback=compute_allocation_left.REPAIR.fallback,
)
