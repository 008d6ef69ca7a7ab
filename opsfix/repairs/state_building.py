"""A server hangs while it is built: it can be called failed, never active."""

from __future__ import annotations

from opsfix.guards import is_
from opsfix.repair import Repair
from opsfix.repairs.state_common import CONDEMNED, NOT_DELETING, SETTLED
from opsfix.server_power import ResetServer

WANTED = is_(
    "server.wanted", "error",
    "it was never built, so 'active' would be a lie: repeat with --state error, then delete it",
)

REPAIR = Repair(
    symptom="state-building",
    means="the server hangs while it is being built",
    when=(is_("server.vm_state", "building"),),
    only_if=(NOT_DELETING, SETTLED, WANTED),
    api=(ResetServer("error"),),
    fixed_when=CONDEMNED,
)
