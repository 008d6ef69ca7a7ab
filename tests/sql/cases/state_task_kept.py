"""The task of a server that is paused, suspended, rescued, shelved or soft-deleted, and that nobody works on."""

from __future__ import annotations

from datetime import timedelta

from opsfix.server_states import KEPT
from tests.sql.cases import Case, Flip, nova
from tests.sql.cases.nova import GOING_ON, OTHER_SERVER, OVER, SERVER, migration, moving
from tests.sql.cases.steps import meanwhile, named, seen
from tests.sql.world import LONG_AGO, NOW, World

HANGS = "server.task_state is not none"
STATE = f"server.vm_state is one of {', '.join(KEPT)}"
NOT_DELETING = "server.task_state is none of deleting, soft-deleting"
SETTLED = "server.migration is none"
LATER = LONG_AGO + timedelta(seconds=1)


def seed(w: World) -> None:
    """A suspended server whose host forgot to resume it; a twin beside it, and moves that are over."""
    hangs = {"vm_state": "suspended", "task_state": "resuming", "power_state": 4}
    nova.server(w, "server", SERVER, "gpu-1", **hangs)
    nova.server(w, "twin", OTHER_SERVER, "gpu-1", **hangs)
    for status in OVER:
        migration(w, f"migration {status}", status)
    migration(w, "forgotten migration", "migrating", deleted=1)
    migration(w, "other migration", "migrating", instance_uuid=OTHER_SERVER)
    w.params = {
        "server_id": SERVER, "vm_state": "suspended", "task_state": "resuming", "host": "gpu-1", "seen": LONG_AGO,
    }
    w.expect("server", task_state=None, updated_at=NOW)


def never_changed(w: World) -> None:
    """A row that was never updated has no time to compare."""
    w.change("server", updated_at=None)
    w.params["seen"] = None


CASE = Case(
    file="state_task_kept.nova",
    tables=("instances", "migrations"),
    seed=seed,
    variants={
        **{state: seen("server", "vm_state", state, "vm_state") for state in KEPT},
        **{task: seen("server", "task_state", task, "task_state") for task in ("unshelving", "restoring", "unrescuing")},
        "no host": seen("server", "host", None, "host"),
        "never changed": never_changed,
        "off": meanwhile("server", power_state=1),
    },
    flips=(
        Flip("task ended", HANGS, meanwhile("server", task_state=None)),
        Flip("no task", HANGS, seen("server", "task_state", None, "task_state")),
        Flip("another task", HANGS, meanwhile("server", task_state="suspending")),
        Flip("another task than was read", HANGS, named(task_state="suspending")),
        *(Flip(f"is {s}", STATE, seen("server", "vm_state", s, "vm_state")) for s in ("active", "stopped", "error", "building")),
        Flip("became paused", STATE, meanwhile("server", vm_state="paused")),
        Flip("became active", STATE, meanwhile("server", vm_state="active")),
        Flip("no vm_state", STATE, seen("server", "vm_state", None, "vm_state")),
        *(Flip(t, NOT_DELETING, seen("server", "task_state", t, "task_state")) for t in ("deleting", "soft-deleting")),
        *(Flip(f"migration {status}", SETTLED, moving(status)) for status in GOING_ON),
        *(Flip(f"moved to {h!r}", None, meanwhile("server", host=h)) for h in ("gpu-10", "GPU-1", "gpu-1 ", None)),
        Flip("host was not read", None, named(host=None)),
        Flip("changed since", None, meanwhile("server", updated_at=LATER)),
        Flip("its time was not read", None, named(seen=None)),
        Flip("server deleted", None, lambda w: w.change("server", deleted=w["server"]["id"])),
        Flip("no such server", None, named(server_id="none")),
    ),
)
