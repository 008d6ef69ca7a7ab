"""A server in error that nobody works on: its state is reset to active, where that is true or becomes so."""

from __future__ import annotations

from opsfix.guards import is_
from opsfix.repair import Repair
from opsfix.repairs.state_common import RESET, TRUE
from opsfix.server_power import ResetServer

REPAIR = Repair(
    symptom="state-error",
    means="the server is in error",
    when=(is_("server.vm_state", "error"), is_("server.task_state", None), is_("server.wanted", "active")),
    only_if=TRUE,
    api=(ResetServer("active"),),
    fixed_when=RESET,
)
