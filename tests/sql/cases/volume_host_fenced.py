"""The mapping of a volume in a server whose host is down and fenced."""

from __future__ import annotations

from tests.sql.cases import Case, Flip, nova
from tests.sql.cases.nova import HEARTBEAT, beats
from tests.sql.cases.steps import meanwhile, named, seen, without
from tests.sql.world import World

FENCED = "server.host_state is fenced"


def seed(w: World) -> None:
    """gpu-1 died with its guest; gpu-10 lives, and what was once called GPU-1 is another host."""
    nova.seed(w, connection_info=nova.CONNECTED)
    w.params |= {"host": "gpu-1", "heartbeat": HEARTBEAT}


def never_heard_of(w: World) -> None:
    """A service that never reported has no heartbeat to be seen."""
    w.change("service", last_seen_up=None)
    w.params["heartbeat"] = None


CASE = Case(
    file="volume_host_fenced.nova",
    tables=nova.TABLES,
    seed=seed,
    variants={
        **nova.VARIANTS,
        "forced down": meanwhile("service", forced_down=1),
        "forced_down unset": meanwhile("service", forced_down=None),
        "an older heartbeat": beats("service", -1),
        "never heard of": never_heard_of,
        "no service": without("service"),
        "not connected": meanwhile("mapping", connection_info=None),
        "busy since it died": meanwhile("server", task_state="rebooting"),
    },
    flips=(
        *nova.FLIPS,
        Flip("reported since", FENCED, beats("service", 1)),
        Flip("reported since, forced_down unset", FENCED, beats("service", 1, forced_down=None)),
        Flip("reported since, though forced down", FENCED, beats("service", 1, forced_down=1)),
        Flip("heartbeat was not read", FENCED, named(heartbeat=None)),
        Flip("registered anew", FENCED, lambda w: (w.remove("service"), nova.service(w, "new", "gpu-1", w.utc()))),
        *(Flip(f"moved to {h!r}", FENCED, meanwhile("server", host=h)) for h in ("gpu-10", "GPU-1", "gpu-1 ", None)),
        *(Flip(f"host {h!r}", FENCED, named(host=h)) for h in ("gpu-10", "GPU-1", "gpu-%", "gpu-_", "", None)),
        Flip("moved to a host that lives, and seen so", FENCED, seen("server", "host", "gpu-10", "host")),
    ),
)
