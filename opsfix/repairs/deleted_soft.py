"""A soft-deleted server that is wanted back."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.repair import Repair
from opsfix.repairs.state_common import SETTLED
from opsfix.server_power import RestoreServer

IDLE = is_(
    "server.task_state", None,
    "it hangs in {server_task_state}: 'opsfix instance reset-state {server_id}' ends the task, then restore it",
)
HOST = is_not(
    "server.host", None,
    "no host had it when it was deleted (it was shelved), and nova would call it active without one:"
    " build a server from its shelved image",
)
HOST_UP = is_(
    "server.host_state", "up",
    "its host {server_host} is {server_host_state}, and only that can take it back: start nova-compute there first",
)

REPAIR = Repair(
    symptom="deleted-soft",
    means="the server is deleted, and nova has not reclaimed it yet",
    when=(is_("server.vm_state", "soft-delete"),),
    only_if=(SETTLED, HOST, HOST_UP, IDLE),
    api=(RestoreServer(),),
    fixed_when=(is_("server.vm_state", "active"), is_("server.task_state", None)),
)
