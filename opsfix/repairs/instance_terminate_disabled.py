"""A server that nova was told never to terminate: it answers that it deletes it, and does nothing."""

from __future__ import annotations

from opsfix.guards import enforced, is_
from opsfix.repair import Fallback, Repair
from opsfix.repairs.instance_common import ANSWERED, DELETED_WITH_IT, NO_RESIZE, NOT_WRITTEN, REFUSALS, ROW, SETTLED, UNLOCKED

DISABLED = is_("rows.terminate_disabled", True, in_sql=True)

REPAIR = Repair(
    symptom="instance-terminate-disabled",
    means="its termination is disabled, so that nova accepts a deletion and ignores it",
    when=(is_("server.state", "present"), is_("rows.terminate_disabled", True)),
    only_if=REFUSALS,
    loses=DELETED_WITH_IT,
    fixed_when=(is_("rows.terminate_disabled", False),),
    fallback=Fallback(
        "instance_terminate_disabled.nova",
        (ROW, DISABLED, enforced(UNLOCKED), ANSWERED, SETTLED, NO_RESIZE, NOT_WRITTEN),
    ),
)
