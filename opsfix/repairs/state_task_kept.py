"""A paused, suspended, rescued, shelved or soft-deleted server hangs in a task: no API call ends the task alone."""

from __future__ import annotations

from opsfix.guards import enforced, is_, is_not, one_of
from opsfix.repair import Fallback, Repair
from opsfix.repairs.state_common import NOT_DELETING, SETTLED
from opsfix.server_states import KEPT

HANGS = is_not("server.task_state", None)
STATE = one_of("server.vm_state", *KEPT)
WANTED = is_(
    "server.wanted", "active",
    "'error' would forget that it is {server_vm_state}, and with it the way back: leave --state away to end its task only",
)
HOST = one_of(
    "server.host_state", "up", "none",
    advice="its host {server_host} is {server_host_state} and does what it was asked when it comes back: start it first",
)

REPAIR = Repair(
    symptom="state-task-kept",
    means="the server hangs in a task, and nova can only reset it to a state that it is not in",
    when=(HANGS, STATE),
    only_if=(NOT_DELETING, SETTLED, WANTED, HOST),
    fixed_when=(is_("server.task_state", None), STATE),
    fallback=Fallback(
        "state_task_kept.nova",
        (enforced(HANGS), enforced(STATE), enforced(NOT_DELETING), enforced(SETTLED), WANTED, HOST),
    ),
)
