"""nova's mapping of a volume that cinder has no attachment of."""

from __future__ import annotations

from tests.sql.cases import Case, Flip, Step, nova
from tests.sql.cases.nova import CONNECTED
from tests.sql.cases.steps import meanwhile, named
from tests.sql.world import World

GUEST = "server.guest is absent"
IDLE = "server.task_state is none"


def seed(w: World) -> None:
    """The server was stopped; others on its host are as it is, and map the same volume."""
    nova.seed(w, connection_info=CONNECTED)
    for name in ("server", "other server"):
        w.change(name, vm_state="stopped", power_state=4)
    w.params |= {"host": "gpu-1", "vm_state": "stopped", "power_state": 4}


def was(**columns: object) -> Step:
    """The server is so, and was seen so."""

    def step(w: World) -> None:
        w.change("server", **columns)
        w.params |= columns

    return step


def unconnected(info: str | None) -> Step:
    """The guest runs, and its host never had connection data."""

    def step(w: World) -> None:
        was(vm_state="active", power_state=1)(w)
        w.change("mapping", connection_info=info)

    return step


CASE = Case(
    file="mapping_unheld.nova",
    tables=nova.TABLES,
    seed=seed,
    variants={
        "no attachment": nova.VARIANTS["no attachment"],
        **{f"boot index {index}": meanwhile("mapping", boot_index=index) for index in (-1, 1, 2)},
        **{f"never connected {info!r}": unconnected(info) for info in (None, "", "null", "{}")},
        "crashed": was(vm_state="error", power_state=6),
        "offloaded": was(vm_state="shelved_offloaded", power_state=None, host=None),
    },
    flips=(
        *nova.FLIPS,
        *(Flip(f"busy {s}", IDLE, meanwhile("server", task_state=s)) for s in ("powering-on", "deleting", "")),
        Flip("seen under construction", nova.SETTLED, was(vm_state="building", power_state=4)),
        Flip("runs", GUEST, was(vm_state="active", power_state=1)),
        Flip("its power is not known", GUEST, was(vm_state="active", power_state=0)),
        *(Flip(f"off for its host, and {s}", GUEST, was(vm_state=s, power_state=4)) for s in ("suspended", "paused", "rescued")),
        Flip("was started", GUEST, meanwhile("server", vm_state="active", power_state=1)),
        Flip("another vm_state", GUEST, meanwhile("server", vm_state="error")),
        Flip("another power state", GUEST, meanwhile("server", power_state=6)),
        Flip("its power was not read", GUEST, named(power_state=None)),
        *(Flip(f"moved to {h!r}", GUEST, meanwhile("server", host=h)) for h in ("gpu-10", "GPU-1", "gpu-1 ", None)),
        Flip("connection data of an unknown form", GUEST, unconnected("{ }")),
    ),
)
