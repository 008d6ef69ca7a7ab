"""A host that is in aggregates and has no service: nova looks the service up, and so cannot take it out."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.repair import Fallback, Repair
from opsfix.repairs.compute_common import GONE_FOR_GOOD

UNREGISTERED = is_("service.uuid", None)

REPAIR = Repair(
    symptom="compute-aggregate-left",
    means="a host that nova no longer has is still in aggregates",
    when=(is_not("aggregates.count", 0), UNREGISTERED),
    only_if=GONE_FOR_GOOD,
    fixed_when=(is_("aggregates.count", 0),),
    fallback=Fallback(
        "compute_aggregate_left.nova_api", (is_not("aggregate.id", None, in_sql=True), UNREGISTERED), one_of_many=True
    ),
)
