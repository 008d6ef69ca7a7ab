"""nova's mapping of an attach that no host ever took up."""

from __future__ import annotations

from tests.sql.cases import Case, Flip, nova
from tests.sql.cases.steps import meanwhile
from tests.sql.world import World

NEVER = "mapping.connected is False"
IDLE = "server.task_state is none"


def seed(w: World) -> None:
    """nova-api made the mapping, and its call never reached nova-compute."""
    nova.seed(w, connection_info=None)


CASE = Case(
    file="volume_attach_never_started.nova",
    tables=nova.TABLES,
    seed=seed,
    variants={
        **nova.VARIANTS,
        **{f"connection {info!r}": meanwhile("mapping", connection_info=info) for info in ("", "null", "{}")},
        "on no host": meanwhile("server", host=None),
    },
    flips=(
        *nova.FLIPS,
        Flip("connected", NEVER, meanwhile("mapping", connection_info=nova.CONNECTED)),
        Flip("connection data of an unknown form", NEVER, meanwhile("mapping", connection_info="{ }")),
        *(Flip(f"busy {s}", IDLE, meanwhile("server", task_state=s)) for s in ("rebooting", "deleting", "")),
    ),
)
