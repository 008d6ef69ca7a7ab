"""Rows that the cases of compute hosts share: gpu-1 is dead, and all around it is what is called nearly so."""

from __future__ import annotations

import uuid
from typing import Any

from tests.sql.cases import Flip, nova
from tests.sql.cases.nova import GOING_ON, OVER, SERVER
from tests.sql.world import LONG_AGO, World

HOST = "gpu-1"
#: Hosts that are not gpu-1, whatever a collation says.
OTHERS = ("gpu-10", "gpu-1.site-b", "GPU-1", "gpu-1 ", "gpu-2")
#: What is no name of the host, but would find it if it were taken for a pattern, or without regard to case.
STRANGE = ("gpu-10", "GPU-1", "gpu-1 ", "gpu-%", "gpu-_", "", None)

UNREGISTERED = "service.uuid is none"
NO_SERVER = "servers.count is 0"


def node(w: World, name: str, host: str, **values: Any) -> None:
    """A node of a host."""
    defaults = {"hypervisor_hostname": f"{name}.example.org", "uuid": str(uuid.uuid4()), "mapped": 1, "updated_at": LONG_AGO}
    w.add(name, "compute_nodes", host=host, hypervisor_type="fake", cpu_info="{}", **defaults | values)


def neighbours(w: World) -> None:
    """Other hosts that live, with a server and a move each, and what gpu-1 itself has done with."""
    now = w.utc()
    for number, host in enumerate(h for h in OTHERS if h.strip() == h):
        removed = {"deleted": number + 50, "deleted_at": LONG_AGO} if host == "GPU-1" else {}
        nova.service(w, f"service of {host}", host, now, uuid=f"uuid-of-{host}", **removed)
        node(w, f"node of {host}", host, **removed)
    nova.server(w, "server of gpu-10", "10", "gpu-10")
    nova.server(w, "deleted server", SERVER, HOST, deleted=7, deleted_at=LONG_AGO)
    nova.service(w, "conductor", HOST, now, binary="nova-conductor", uuid="uuid-of-conductor")
    for status in OVER:
        nova.migration(w, f"migration {status}", status)
    nova.migration(w, "forgotten migration", "migrating", deleted=1)
    nova.migration(w, "other migration", "migrating", source_compute="gpu-10", dest_compute="gpu-2")


#: What every fallback that removes something of nova's must refuse.
FLIPS = (
    Flip("a server is on it", NO_SERVER, lambda w: nova.server(w, "server", "5e4e", HOST)),
    Flip("a soft-deleted server is on it", NO_SERVER, lambda w: nova.server(w, "server", "5e4e", HOST, vm_state="soft-delete")),
    *(Flip(f"migration {s}", None, lambda w, s=s: nova.migration(w, "new migration", s)) for s in GOING_ON),
)


def registered(w: World) -> None:
    """A nova-compute has registered again."""
    nova.service(w, "service", HOST, w.utc())
