"""nova has the server: it is deleted through nova, and by SQL only where its host is gone for good and nova cannot."""

from __future__ import annotations

from opsfix.guards import is_
from opsfix.repair import Repair
from opsfix.repairs.instance_common import GONE, REFUSALS, SOFT_DELETE
from opsfix.server_steps import DeleteServer, EndStuckDeletion, UnlockServer

REPAIR = Repair(
    symptom="instance-present",
    means="nova has the server; deleted with it: {volumes_doomed}",
    when=(is_("server.state", "present"),),
    only_if=REFUSALS,
    api=(UnlockServer(), EndStuckDeletion(), DeleteServer()),
    fixed_when=(GONE, is_("rows.proof_due", False)),
    fallback=SOFT_DELETE,
)
