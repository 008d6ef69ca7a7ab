"""A compute host that is dead for good: watched once more, then taken out of nova by nova's own calls."""

from __future__ import annotations

from opsfix.compute_steps import DeleteCompute, DeleteDeadAllocations, LeaveAggregates, RetireCompute, WatchHost
from opsfix.computes import PERIOD
from opsfix.guards import Guard, is_, is_not
from opsfix.repair import Repair
from opsfix.repairs.compute_common import GONE_FOR_GOOD
from opsfix.steps import Step

REGISTERED = (is_not("service.uuid", None), is_("compute.twin", False))


def _stage(means: str, when: tuple[Guard, ...], step: Step, fixed: Guard, refused: str | None = None) -> Repair:
    return Repair("compute-host-dead", means, when, GONE_FOR_GOOD, (step,), fixed_when=(fixed,), refused=refused)


REPAIRS = (
    _stage(
        "nothing on the host has reported for long, which one more period has to confirm",
        (is_("compute.left", True), is_("compute.watched", False)),
        WatchHost(PERIOD),
        is_("compute.watched", True),
        "something on {compute_id} reported while it was watched: it is alive, so stop it first",
    ),
    _stage(
        "the nova-compute of a dead host is still offered work",
        (*REGISTERED, is_("service.retired", False)),
        RetireCompute(),
        is_("service.retired", True),
    ),
    _stage(
        "a dead host is still in aggregates",
        (*REGISTERED, is_not("aggregates.count", 0)),
        LeaveAggregates(),
        is_("aggregates.count", 0),
    ),
    _stage(
        "consumers that nova does not have still hold resources of a dead host",
        (is_not("allocations.dead", 0),),
        DeleteDeadAllocations(),
        is_("allocations.dead", 0),
    ),
    _stage(
        "nova still has the nova-compute of a dead host",
        REGISTERED,
        DeleteCompute(),
        is_("service.uuid", None),
    ),
)
