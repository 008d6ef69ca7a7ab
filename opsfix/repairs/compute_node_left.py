"""A node without a service, which no call of nova removes."""

from __future__ import annotations

from opsfix.guards import enforced, is_, is_not
from opsfix.repair import Fallback, Repair
from opsfix.repairs.compute_common import GONE_FOR_GOOD, NO_MIGRATION, NO_SERVER

REPAIR = Repair(
    symptom="compute-node-left",
    means="nova still has a node whose nova-compute it no longer has",
    when=(is_not("node.id", None),),
    only_if=GONE_FOR_GOOD,
    fixed_when=(is_("node.id", None),),
    fallback=Fallback(
        "compute_node_left.nova",
        (
            is_not("node.id", None, in_sql=True), is_("service.uuid", None, in_sql=True), enforced(NO_SERVER), NO_MIGRATION,
        ),
        one_of_many=True,
    ),
)
