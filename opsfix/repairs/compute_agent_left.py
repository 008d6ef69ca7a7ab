"""neutron's agents of a dead host: what they serve goes to live ones, then they are deleted."""

from __future__ import annotations

from opsfix.compute_steps import DeleteAgents, MoveNetworks, MoveRouters
from opsfix.guards import is_, is_not
from opsfix.repair import Repair
from opsfix.repairs.compute_common import GONE_FOR_GOOD

REPAIR = Repair(
    symptom="compute-agent-left",
    means="neutron still has the agents of a dead host, and may count on them",
    when=(is_not("agents.count", 0),),
    only_if=GONE_FOR_GOOD,
    api=(MoveRouters(), MoveNetworks(), DeleteAgents()),
    fixed_when=(is_("agents.count", 0),),
)
