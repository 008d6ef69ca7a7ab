"""Recovering many servers, and listing the addresses of very many, against the bare calls."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.bench.measuring import OPSFIX, Measured, Report, alternately, measure, middle
from tests.bench.population import MARK, crowd, root
from tests.functional.cloud import Lab, wait_until

#: Servers to recover, API calls in flight, runs of each side.
COUNT, WORKERS, TIMES = 50, 8, 3
#: Servers whose addresses are listed, and the hosts that they are on.
LISTED, HOSTED = int(os.environ.get("OPSFIX_BENCH_SERVERS") or 10_000), 500
HOSTS = ("gpu-01", "gpu-02", "gpu-03")

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
    db = root(lab)
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


@pytest.mark.timeout(3600)
def test_the_addresses_of_very_many(lab: Lab, report: Report) -> None:
    """``instance ips`` against the bare listings of nova's servers and neutron's ports."""
    with crowd(lab, servers=LISTED, volumes=0, hosts=HOSTED):
        listing = [OPSFIX, "instance", "ips", "-o", "csv"]
        opsfix, plain = alternately(TIMES, lambda: measure(listing, lab.environ), lambda: measure(_raw(), lab.environ))
        cached = measure([*listing, "--from-db"], lab.environ)
        few = measure([*listing, "--host", "nowhere"], lab.environ)
    assert opsfix[-1].out.count(f"\n{MARK}") == LISTED  # hosts are called so too
    assert cached.out.count(f"\n{MARK}") == LISTED
    assert opsfix[-1].out.count("10.77.") == LISTED
    report.title(f"The addresses of {LISTED} servers")
    report.figure("instance ips", middle(opsfix), " s")
    report.figure("nova's servers and neutron's ports, listed raw", middle(plain), " s")
    report.figure("opsfix : raw", middle(opsfix) / middle(plain), most=1.3)
    report.figure("instance ips --from-db", cached.wall, " s")
    report.figure("peak memory of opsfix", middle(opsfix, lambda m: m.peak), " MiB", digits=0)
    report.figure("peak memory of opsfix --from-db", cached.peak, " MiB", digits=0)
    report.figure("peak memory of opsfix with nothing to list", few.peak, " MiB", digits=0)
