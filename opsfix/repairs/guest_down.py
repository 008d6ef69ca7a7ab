"""A server that should run and does not: reset, stop and start, hard reboot, until its guest runs."""

from __future__ import annotations

from opsfix.guards import is_, is_not, one_of
from opsfix.repair import Repair
from opsfix.repairs.state_common import TRUE
from opsfix.server_power import Climb, ResetServer
from opsfix.server_states import RESETTABLE

#: Tasks that may be cut off without asking what their owner wanted: to run is what they end in.
RESTARTS = (
    None, "rebooting", "reboot_pending", "reboot_started", "rebooting_hard", "reboot_pending_hard", "reboot_started_hard",
    "powering-on", "image_snapshot", "image_snapshot_pending", "image_pending_upload", "image_uploading", "image_backup",
    "updating_password",
)
STATE = one_of(
    "server.vm_state", *RESETTABLE,
    advice="it is {server_vm_state}, and a restart would lose that: 'opsfix instance reset-state {server_id}' ends its task",
)
TASK = one_of(
    "server.task_state", *RESTARTS,
    advice="it hangs in {server_task_state}, and what its owner wanted is more than that it runs:"
    " 'opsfix instance reset-state {server_id}' ends the task; then look at it",
)
RUNS = is_(
    "server.runs", True,
    "it is {server_vm_state}, its guest {server_power}; nova's last word: {server_fault}",
)
ONLY_IF = (*TRUE, STATE, TASK)
LADDER = (ResetServer("active"), Climb())

REPAIRS = (
    Repair(
        symptom="guest-down",
        means="the server was never built",
        when=(is_("server.vm_state", "building"),),
        only_if=ONLY_IF,
        api=LADDER,
        fixed_when=(RUNS,),
    ),
    Repair(
        symptom="guest-down",
        means="the server hangs in a task that nobody works on",
        when=(is_not("server.task_state", None),),
        only_if=ONLY_IF,
        api=LADDER,
        fixed_when=(RUNS,),
    ),
    Repair(
        symptom="guest-down",
        means="the server is in error",
        when=(is_("server.vm_state", "error"),),
        only_if=ONLY_IF,
        api=LADDER,
        fixed_when=(RUNS,),
    ),
    Repair(
        symptom="guest-down",
        means="the server is called active, and its guest does not run",
        when=(is_("server.vm_state", "active"), is_("server.runs", False)),
        only_if=ONLY_IF,
        api=(Climb(),),
        fixed_when=(RUNS,),
    ),
)
