"""Every server with the addresses of its ports, one after the other: no more than a few pages of them are held at a time."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

from opsfix.ports import Cloud, Databases, Network
from opsfix.resources import Server

SCHEMA = "opsfix.instance-ips/1"
COLUMNS = ("id", "name", "project_id", "host", "fixed", "floating")
#: Rows of a page of the database, and ids in one question to neutron: more make an address too long for some proxies.
PAGE, ASKED = 500, 100
#: Questions to neutron at a time, and how many may wait for their turn: neutron works while nova makes its next page.
WORKERS, AHEAD = 4, 10
Row = dict[str, Any]


def by_api(cloud: Cloud, *, project: str | None = None, host: str | None = None) -> Iterator[Row]:
    """nova's servers, in nova's order, with neutron's ports and floating IPs. Raises CloudUnknown."""
    servers = cloud.servers(project=project, host=host)
    waiting: deque[Future[list[Row]]] = deque()
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="opsfix") as pool:
        while batch := list(islice(servers, ASKED)):
            waiting.append(pool.submit(_joined, cloud.network, batch))
            if len(waiting) > AHEAD:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _joined(network: Network, servers: list[Server]) -> list[Row]:
    ports: dict[str, list[Row]] = {s.id: [] for s in servers}
    by_port: dict[str, Row] = {}
    for port in network.ports_of(list(ports)):
        row = {"id": port.id, "network_id": port.network_id, "fixed": list(port.addresses), "floating": []}
        by_port[port.id] = row
        ports[port.device_id].append(row)
    asked = iter(by_port)
    while some := list(islice(asked, ASKED)):
        for floating in network.every_floating_ip(port_ids=some):
            by_port[floating.port_id or ""]["floating"].append(floating.address)
    return [
        _row(s.id, s.name, s.project_id, s.host, sorted(ports[s.id], key=lambda p: str(p["id"])), complete=True) for s in servers
    ]


def by_database(databases: Databases | None, *, project: str | None = None, host: str | None = None) -> Iterator[Row]:
    """The servers of every cell with what nova's ``instance_info_caches`` remember of them. Raises DatabaseUnknown."""
    assert databases is not None
    for cell in databases.cell_names():
        after = ""
        while page := databases.read("read_server_ips.nova", {"after": after, "page": PAGE}, cell=cell):
            yield from (_cached(r) for r in page if project in (None, r["project_id"]) and host in (None, r["host"]))
            after = page[-1]["uuid"]
            if len(page) < PAGE:
                break


def _cached(row: Row) -> Row:
    try:
        ports, complete = [_port(vif) for vif in json.loads(row["network_info"])], True
    except (TypeError, ValueError, KeyError, AttributeError):  # no cache, or not of nova's form
        ports, complete = [], False
    return _row(row["uuid"], row["display_name"] or "", row["project_id"] or "", row["host"], ports, complete=complete)


def _port(vif: Row) -> Row:
    """One of nova's VIFs (nova/network/model.py)."""
    addresses = [ip for subnet in vif["network"]["subnets"] for ip in subnet["ips"]]
    return {
        "id": vif["id"], "network_id": vif["network"]["id"], "fixed": [ip["address"] for ip in addresses],
        "floating": [f["address"] for ip in addresses for f in ip.get("floating_ips") or ()],
    }


def _row(server_id: str, name: str, project_id: str, host: str | None, ports: list[Row], *, complete: bool) -> Row:
    """``complete`` is False where nova remembers nothing of the server, which is not the same as no address."""
    return {"id": server_id, "name": name, "project_id": project_id, "host": host, "complete": complete, "ports": ports}


def flattened(rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """A row for each server as a table has it: its addresses in two cells, ``?`` where they are not known."""
    for row in rows:
        cells = {
            kind: ",".join(a for p in row["ports"] for a in p[kind]) or ("-" if row["complete"] else "?")
            for kind in ("fixed", "floating")
        }
        yield {**row, "host": row["host"] or "-", **cells}
