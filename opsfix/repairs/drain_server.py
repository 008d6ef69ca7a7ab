"""A server that has to leave its host: moved while the host is up, made anew elsewhere once it is fenced."""

from __future__ import annotations

from opsfix.drain_steps import MoveServer
from opsfix.drains import NEVER
from opsfix.guards import is_, is_not, one_of
from opsfix.repair import Repair

READY = one_of(
    "server.host_state", "up", "fenced",
    advice="{server_from} is {server_host_state}, and the guest may still run there and write: bring the host back, or make sure"
    " that it is off and repeat with --fenced {server_from}",
)
MOVABLE = is_not(
    "server.way", NEVER,
    "nova moves no server that is {server_vm_state} (task: {server_task_state}) from a host that is {server_host_state}:"
    " {server_hint}",
)

REPAIR = Repair(
    symptom="drain-server",
    means="the server is on the host, or not wholly off it",
    when=(is_("server.away", False),),
    only_if=(READY, MOVABLE),
    api=(MoveServer(),),
    fixed_when=(is_("server.away", True),),
)
