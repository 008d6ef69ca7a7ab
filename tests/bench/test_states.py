"""Recovering many servers, and listing the addresses of very many, against the bare calls."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.bench.measuring import OPSFIX, Measured, Report, alternately, measure, middle
from tests.bench.population import MARK, SERVER, _copy, _root
from tests.functional.cloud import Lab, wait_until

#: Servers to recover, API calls in flight, runs of each side.
COUNT, WORKERS, TIMES = 50, 8, 3
#: Servers whose addresses are listed.
LISTED = int(os.environ.get("OPSFIX_BENCH_SERVERS") or 10_000)
HOSTS = ("gpu-01", "gpu-02", "gpu-03")
#: neutron's tables of a port, those that others refer to first, and the column that names the port.
PORT = {
    "ml2_port_bindings": "port_id", "ml2_port_binding_levels": "port_id", "ipallocations": "port_id",
    "portsecuritybindings": "port_id",
}


def _raw(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.bench.ladder", str(WORKERS), *arguments]


@pytest.fixture
def servers(lab: Lab) -> Iterator[list[str]]:
    """Servers on every host, made through the API."""
    compute = lab.api.compute
    flavor, image = compute.find_flavor("m1.tiny").id, lab.api.image.find_image("cirros").id

    def build(n: int) -> str:
        return str(compute.create_server(
            name=f"bench-{n:03}", flavor_id=flavor, image_id=image, networks="none",
            availability_zone=f"nova:{HOSTS[n % len(HOSTS)]}",
        ).id)

    with ThreadPoolExecutor(WORKERS) as pool:
        ids = list(pool.map(build, range(COUNT)))
    wait_until(lambda: _states(lab, ids) == {("active", None, 1): COUNT}, 600, f"{COUNT} servers are active")
    yield ids
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(compute.delete_server, ids))


def _states(lab: Lab, ids: list[str]) -> dict[tuple[Any, ...], int]:
    rows = lab.rows(
        "nova", "SELECT vm_state, task_state, power_state, COUNT(*) AS n FROM instances WHERE uuid IN %s GROUP BY 1, 2, 3", tuple(ids)
    )
    return {(r["vm_state"], r["task_state"], r["power_state"]): r["n"] for r in rows}


def _cut_power(lab: Lab, ids: list[str]) -> None:
    """All guests are off, and nova calls the servers failed."""
    for server in ids:
        [file] = Path(lab.environ["LAB_DIR"]).glob(f"state/*/guests/{server}.json")
        file.write_text(json.dumps(json.loads(file.read_text()) | {"state": 4}))
    db = _root(lab)
    with db, db.cursor() as cursor:
        cell = lab.urls()["nova"].database
        cursor.execute(f"UPDATE {cell}.instances SET vm_state='error', power_state=4 WHERE uuid IN %s", (tuple(ids),))
    assert _states(lab, ids) == {("error", None, 4): COUNT}


@pytest.mark.timeout(3600)
def test_fifty_servers(lab: Lab, servers: list[str], report: Report) -> None:
    """The wall time of ``recover --all`` against reset, stop and start over plain sessions, awaited alike."""

    def once(command: list[str]) -> Measured:
        _cut_power(lab, servers)
        done = measure(command, lab.environ)
        assert _states(lab, servers) == {("active", None, 1): COUNT}
        return done

    recover = [OPSFIX, "instance", "recover", "--all", "--limit", "0", "--workers", str(WORKERS), "-o", "json"]
    opsfix, plain = alternately(TIMES, lambda: once(recover), lambda: once(_raw(*servers)))
    assert json.loads(opsfix[-1].out)["summary"]["repaired"] == COUNT
    report.title(f"{COUNT} servers in error with their guests off, {WORKERS} workers, median of {TIMES}")
    report.figure("instance recover --all", middle(opsfix), " s")
    report.figure("reset, stop and start raw", middle(plain), " s")
    report.figure("opsfix : raw", middle(opsfix) / middle(plain), most=1.3)
    report.figure("peak memory of opsfix", middle(opsfix, lambda m: m.peak), " MiB", digits=0)


@contextmanager
def crowd(lab: Lab, size: int) -> Iterator[None]:
    """This many servers with a port each, copied from a healthy one in nova's and neutron's tables; removed in the end."""
    server = lab.healthy["servers"][0]
    cell = lab.urls()["nova"].database
    db = _root(lab)
    with db, db.cursor() as cursor:
        _remove(cursor, cell)
        try:
            for table, column in SERVER.items():
                _copy(cursor, f"{cell}.{table}", f"{column}='{server}'", size, **{column: "vm"})
            _copy(cursor, "nova_api.instance_mappings", f"instance_uuid='{server}'", size, instance_uuid="vm")
            _copy_ports(cursor, server, size)
            yield
        finally:
            _remove(cursor, cell)


def _copy_ports(cursor: Any, server: str, size: int) -> None:
    cursor.execute("SELECT id, standard_attr_id FROM neutron.ports WHERE device_id=%s", (server,))
    port, attributes = cursor.fetchone()
    cursor.execute("SELECT MAX(id) FROM neutron.standardattributes")
    last = cursor.fetchone()[0]
    cursor.execute(
        "INSERT INTO neutron.standardattributes (id, resource_type, created_at, updated_at, description, revision_number)"
        f" SELECT {last} + s.seq, m.resource_type, m.created_at, m.updated_at, '{MARK}', m.revision_number"
        f" FROM (SELECT * FROM neutron.standardattributes WHERE id={attributes}) m, seq_1_to_{size} s"
    )
    mac = "CONCAT('fa:17:00:', INSERT(INSERT(LPAD(HEX(s.seq), 6, '0'), 5, 0, ':'), 3, 0, ':'))"
    own = {"standard_attr_id": f"{last} + s.seq", "mac_address": mac}
    _copy(cursor, "neutron.ports", f"id='{port}'", size, values=own, id="port", device_id="vm")
    for table, column in PORT.items():
        address = {"ip_address": "CONCAT('10.77.', s.seq DIV 250, '.', s.seq MOD 250 + 1)"} if table == "ipallocations" else {}
        _copy(cursor, f"neutron.{table}", f"port_id='{port}'", size, values=address, **{column: "port"})


def _remove(cursor: Any, cell: str) -> None:
    cursor.execute(f"DELETE FROM neutron.ports WHERE id LIKE '{MARK}%'")  # its other rows go with it
    cursor.execute(f"DELETE FROM neutron.standardattributes WHERE description = '{MARK}'")
    cursor.execute(f"DELETE FROM nova_api.instance_mappings WHERE instance_uuid LIKE '{MARK}%'")
    for table, column in reversed(SERVER.items()):
        cursor.execute(f"DELETE FROM {cell}.{table} WHERE {column} LIKE '{MARK}%'")


@pytest.mark.timeout(3600)
def test_the_addresses_of_very_many(lab: Lab, report: Report) -> None:
    """``instance ips`` against the bare listings of nova's servers and neutron's ports."""
    with crowd(lab, LISTED):
        listing = [OPSFIX, "instance", "ips", "-o", "csv"]
        opsfix, plain = alternately(TIMES, lambda: measure(listing, lab.environ), lambda: measure(_raw(), lab.environ))
        cached = measure([*listing, "--from-db"], lab.environ)
        few = measure([*listing, "--host", "nowhere"], lab.environ)
    assert opsfix[-1].out.count(MARK) == LISTED
    assert cached.out.count(MARK) == LISTED
    assert opsfix[-1].out.count("10.77.") == LISTED
    report.title(f"The addresses of {LISTED} servers")
    report.figure("instance ips", middle(opsfix), " s")
    report.figure("nova's servers and neutron's ports, listed raw", middle(plain), " s")
    report.figure("opsfix : raw", middle(opsfix) / middle(plain), most=1.3)
    report.figure("instance ips --from-db", cached.wall, " s")
    report.figure("peak memory of opsfix", middle(opsfix, lambda m: m.peak), " MiB", digits=0)
    report.figure("peak memory of opsfix --from-db", cached.peak, " MiB", digits=0)
    report.figure("peak memory of opsfix with nothing to list", few.peak, " MiB", digits=0)
