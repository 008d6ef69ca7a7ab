"""A removed node that nova up to 2024.1 leaves marked as mapped: discover_hosts would pass it by should it come back."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.repair import Fallback, Repair
from opsfix.repairs.compute_common import GONE_FOR_GOOD

REPAIR = Repair(
    symptom="compute-node-mapped",
    means="a removed node is still marked as mapped, so nova would not discover it again",
    when=(is_not("removed_node.id", None),),
    only_if=GONE_FOR_GOOD,
    fixed_when=(is_("removed_node.id", None),),
    fallback=Fallback("compute_node_mapped.nova", (is_not("removed_node.id", None, in_sql=True),), one_of_many=True),
)
