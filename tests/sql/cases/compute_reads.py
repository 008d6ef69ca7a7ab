"""What the reads of compute hosts must find: file -> tables and a seed that returns the rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from tests.sql.cases import nova
from tests.sql.cases.compute_allocation_left import allocation, consumer, provider
from tests.sql.cases.compute_volume_service_left import service as volume_service
from tests.sql.cases.computes import HOST, OTHERS, neighbours, node
from tests.sql.server import Row
from tests.sql.world import LONG_AGO, World

NOVA = ("services", "compute_nodes", "instances", "migrations", "console_auth_tokens")


def services(w: World) -> list[Row]:
    neighbours(w)
    nova.service(w, "service", HOST, LONG_AGO, uuid="uuid-1", report_count=41)
    nova.service(w, "removed", HOST, LONG_AGO, uuid="uuid-0", report_count=1, deleted=9)
    w.params = {"host": HOST}
    columns = ("id", "uuid", "host", "report_count", "last_seen_up", "deleted")
    return [{c: w[name][c] for c in columns} for name in ("service", "removed")]


def nodes(w: World) -> list[Row]:
    neighbours(w)
    node(w, "node", HOST, updated_at=LONG_AGO + timedelta(days=1))
    node(w, "removed", HOST, deleted=9, mapped=0)
    w.params = {"host": HOST}
    columns = ("id", "uuid", "updated_at", "mapped", "deleted")
    return [{c: w[name][c] for c in columns} | {"name": f"{name}.example.org"} for name in ("node", "removed")]


def nodes_named(w: World) -> list[Row]:
    node(w, "moved", "ironic-2", hypervisor_hostname="node-1", uuid="uuid-1")
    node(w, "before", "ironic-1", hypervisor_hostname="node-1", uuid="uuid-0", deleted=9)
    node(w, "other", "ironic-1", hypervisor_hostname="node-2")
    w.params = {"names": ["node-1", "it's none"]}
    return [{"host": "ironic-2", "uuid": "uuid-1", "name": "node-1"}]


def servers(w: World) -> list[Row]:
    neighbours(w)
    nova.server(w, "server", "one", HOST)
    nova.server(w, "soft-deleted", "two", HOST, vm_state="soft-delete")
    nova.server(w, "of another case", "three", "GPU-1")
    nova.server(w, "nowhere", "four", None)
    w.params = {"host": HOST}
    return [{"uuid": "one"}, {"uuid": "two"}]


def server_counts(w: World) -> list[Row]:
    for number, host in enumerate((HOST, HOST, "gpu-10", None)):
        nova.server(w, f"{number}", f"{number}", host)
    nova.server(w, "deleted", "deleted", HOST, deleted=9)
    return [{"host": HOST, "servers": 2}, {"host": "gpu-10", "servers": 1}, {"host": None, "servers": 1}]


def tokens(w: World) -> list[Row]:
    for number, host in enumerate((HOST, HOST, *OTHERS)):
        w.add(f"{number}", "console_auth_tokens", host=host, console_type="novnc", expires=1709251198)
    w.params = {"host": HOST}
    return [{"tokens": 2}]


def mapping(w: World) -> list[Row]:
    w.add("cell", "cell_mappings", uuid="uuid-of-cell1", name="cell1")
    for host in (HOST, "gpu-10"):
        w.add(host, "host_mappings", cell_id=w["cell"]["id"], host=host)
    w.params = {"host": HOST}
    return [{"id": w[HOST]["id"], "mapped_to": "uuid-of-cell1"}]


def mappings(w: World) -> list[Row]:
    w.add("cell1", "cell_mappings", uuid="uuid-of-cell1", name="cell1")
    hosts = ("gpu-1", "gpu-10", "gpü-2")
    for host in hosts:
        w.add(host, "host_mappings", cell_id=w["cell1"]["id"], host=host)
    return [{"host": host, "mapped_to": "uuid-of-cell1"} for host in hosts]


def no_mapping(w: World) -> list[Row]:
    mapping(w)
    w.change(HOST, host="GPU-1")
    return []


def aggregates(w: World) -> list[Row]:
    for name in ("one", "empty"):
        w.add(name, "aggregates", name=name)
    w.add("member", "aggregate_hosts", aggregate_id=w["one"]["id"], host=HOST)
    return [{"id": w["one"]["id"], "name": "one", "host": HOST}, {"id": w["empty"]["id"], "name": "empty", "host": None}]


def providers(w: World) -> list[Row]:
    provider(w, "gpu-1")
    return [{"uuid": "uuid-of-gpu-1", "generation": 7}]


def unseen(w: World) -> list[Row]:
    for name in ("gpu-1", "gpu-10", "gpu-2"):
        provider(w, name)
    consumer(w, "seen")
    for kind in (0, 1):
        allocation(w, f"unseen {kind}", "unseen", "gpu-1", kind)
        allocation(w, f"seen {kind}", "seen", "gpu-1", kind)
    allocation(w, "of another", "unseen", "gpu-10", 0)
    allocation(w, "not asked for", "unseen", "gpu-2", 0)
    w.params = {"providers": ["uuid-of-gpu-1", "uuid-of-gpu-10"]}
    return [{"provider": f"uuid-of-{name}", "consumer": "unseen"} for name in ("gpu-1", "gpu-10")]


def volume_services(w: World) -> list[Row]:
    for name, host in (
        ("plain", "gpu-1"), ("backend", "gpu-1@lvm"), ("second row", "gpu-1@lvm"),
        ("other", "gpu-10@lvm"), ("other site", "gpu-1.site-b@lvm"), ("other case", "GPU-1@lvm"),
    ):
        volume_service(w, name, host)
    volume_service(w, "removed", "gpu-1@lvm", deleted=1)
    w.params = {"host": HOST}
    columns = ("id", "uuid", "binary", "host", "report_count", "updated_at")
    return [{c: w[name][c] for c in columns} for name in ("plain", "backend", "second row")]


def volume_counts(w: World) -> list[Row]:
    for number, host in enumerate(("gpu-1@lvm#a", "gpu-1@lvm#a", "gpu-10@lvm#a", None)):
        w.add(f"volume {number}", "volumes", host=host, deleted=0, volume_type_id="any")
    w.add("deleted", "volumes", host="gpu-1@lvm#a", deleted=1, volume_type_id="any")
    return [{"host": host, "volumes": n} for host, n in ((None, 1), ("gpu-1@lvm#a", 2), ("gpu-10@lvm#a", 1))]


PLACEMENT = ("resource_providers", "allocations", "consumers")
CELLS = ("cell_mappings", "host_mappings")
CASES: dict[str, dict[str, tuple[tuple[str, ...], Callable[[World], list[Row]]]]] = {
    "read_host_services.nova": {"": (NOVA, services)},
    "read_host_nodes.nova": {"": (NOVA, nodes)},
    "read_nodes_named.nova": {"": (NOVA, nodes_named)},
    "read_host_servers.nova": {"": (NOVA, servers)},
    "read_server_counts.nova": {"": (NOVA, server_counts)},
    "read_host_tokens.nova": {"": (NOVA, tokens)},
    "read_host_mapping.nova_api": {"": (CELLS, mapping), "of another case": (CELLS, no_mapping)},
    "read_host_mappings.nova_api": {"": (CELLS, mappings)},
    "read_aggregates.nova_api": {"": (("aggregates", "aggregate_hosts"), aggregates)},
    "read_providers.placement": {"": (PLACEMENT, providers)},
    "read_allocations_unseen.placement": {"": (PLACEMENT, unseen)},
    "read_host_services.cinder": {"": (("services",), volume_services)},
    "read_volume_counts.cinder": {"": (("volumes",), volume_counts)},
}
