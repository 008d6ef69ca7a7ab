"""What the reads of placement's audit must find: file -> tables and a seed that returns the rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from tests.sql.cases import nova
from tests.sql.cases.compute_allocation_left import allocation, consumer, provider
from tests.sql.cases.compute_reads import NOVA, PLACEMENT
from tests.sql.cases.computes import node
from tests.sql.server import Row
from tests.sql.world import LONG_AGO, World


def record(w: World, **values: object) -> list[Row]:
    row = w.add("it", "consumers", uuid="it", generation=3, **values)
    consumer(w, "other")
    w.params = {"consumer_id": "it"}
    return [{c: row[c] for c in ("generation", "created_at", "updated_at")}]


def settled(w: World) -> list[Row]:
    return [row | {"settled": 1} for row in record(w, created_at=LONG_AGO, updated_at=None)]


def young(w: World) -> list[Row]:
    recent = w.utc() - timedelta(minutes=59)
    return [row | {"settled": 0} for row in record(w, created_at=LONG_AGO, updated_at=recent)]


def no_record(w: World) -> list[Row]:
    consumer(w, "other")
    w.params = {"consumer_id": "it"}
    return []


def unseen(w: World) -> list[Row]:
    for name in ("gpu-1", "gpu-10", "gpu-2"):
        provider(w, name)
    for kind in (0, 1):
        allocation(w, f"of it {kind}", "it", "gpu-1", kind)
    allocation(w, "of it elsewhere", "it", "gpu-10", 0)
    allocation(w, "of another", "other", "gpu-2", 0)
    w.params = {"consumer_id": "it"}
    return [{"provider": f"uuid-of-{name}"} for name in ("gpu-1", "gpu-10")]


def recorded(w: World) -> list[Row]:
    unseen(w)
    consumer(w, "it")
    return []


def empty(w: World) -> list[Row]:
    provider(w, "gpu-1")
    for name in ("empty", "holding", "empty too"):
        consumer(w, name)
    allocation(w, "held", "holding", "gpu-1", 0)
    allocation(w, "unseen", "unseen", "gpu-1", 0)
    return [{"consumer": "empty"}, {"consumer": "empty too"}]


def migrations(w: World) -> list[Row]:
    nova.server(w, "server", nova.SERVER, "gpu-1")
    for name, status in (("a", "finished"), ("b", "confirmed"), ("c", "running")):
        w.add(name, "migrations", uuid=name, instance_uuid=nova.SERVER, status=status, migration_type="resize")
    w.params = {"consumers": ["a", "b", "none"]}
    columns = ("uuid", "id", "instance_uuid", "status", "migration_type")
    return [{c: w[name][c] for c in columns} for name in ("a", "b")]


def nodes(w: World) -> list[Row]:
    for name, deleted in (("live", 0), ("removed", 9), ("other", 0)):
        node(w, name, f"host-of-{name}", uuid=name, deleted=deleted)
    w.params = {"nodes": ["live", "removed", "none"]}
    return [
        {"uuid": n, "name": w[n]["hypervisor_hostname"], "host": f"host-of-{n}", "deleted": w[n]["deleted"]}
        for n in ("live", "removed")
    ]


CASES: dict[str, dict[str, tuple[tuple[str, ...], Callable[[World], list[Row]]]]] = {
    "read_consumer.placement": {"settled": (PLACEMENT, settled), "young": (PLACEMENT, young), "none": (PLACEMENT, no_record)},
    "read_consumer_unseen.placement": {"": (PLACEMENT, unseen), "recorded": (PLACEMENT, recorded)},
    "read_consumers_empty.placement": {"": (PLACEMENT, empty)},
    "read_migrations_named.nova": {"": (NOVA, migrations)},
    "read_nodes_known.nova": {"": (NOVA, nodes)},
}
