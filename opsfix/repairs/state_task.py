"""A server hangs in a task that nobody works on: its state is reset."""

from __future__ import annotations

from opsfix.guards import is_, is_not, one_of
from opsfix.repair import Repair
from opsfix.repairs.state_common import CONDEMNED, NOT_DELETING, RESET, SETTLED, TRUE
from opsfix.server_power import ResetServer
from opsfix.server_states import RESETTABLE

HANGS = (is_not("server.task_state", None), one_of("server.vm_state", *RESETTABLE))
MEANS = "the server hangs in {server_task_state}, and nobody has worked on it for a while"

REPAIRS = (
    Repair(
        symptom="state-task",
        means=MEANS,
        when=(*HANGS, is_("server.wanted", "active")),
        only_if=TRUE,
        api=(ResetServer("active"),),
        fixed_when=RESET,
    ),
    Repair(
        symptom="state-task",
        means=MEANS,
        when=(*HANGS, is_("server.wanted", "error")),
        only_if=(NOT_DELETING, SETTLED),
        api=(ResetServer("error"),),
        fixed_when=CONDEMNED,
    ),
)
