"""Doctor on a large healthy cloud, against the bare listings of what it looks at."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench.measuring import OPSFIX, Report, alternately, measure, middle
from tests.bench.population import crowd
from tests.functional.cloud import Lab

#: Servers with a volume and a port each, hosts, and runs of each side.
SERVERS, HOSTS, TIMES = int(os.environ.get("OPSFIX_BENCH_SERVERS") or 10_000), 500, 3
#: Half of them are in use.
VOLUMES = 2 * SERVERS


def count(lab: Lab) -> None:
    """cinder has counted what there is."""
    assert lab.run("volume", "quota-sync", "--all", "--older-than", "0s", "--commit").code == 0


@contextmanager
def counted(lab: Lab) -> Iterator[None]:
    """The same once more in the end."""
    try:
        yield
    finally:
        count(lab)


@pytest.mark.timeout(3600)
def test_a_large_healthy_cloud(lab: Lab, report: Report, tmp_path: Path) -> None:
    """Everything is looked at, nothing is found, by the databases and by the API alone."""
    doctor = [OPSFIX, "doctor", "-o", "json"]
    blind = lab.environ | {"OPSFIX_SERVICES_CONF_DIR": str(tmp_path)}
    with counted(lab), crowd(lab, servers=SERVERS, volumes=VOLUMES, hosts=HOSTS):
        count(lab)
        opsfix, plain = alternately(
            TIMES, lambda: measure(doctor, lab.environ), lambda: measure([sys.executable, "-m", "tests.bench.everything"], lab.environ)
        )
        alone = measure(doctor, blind)
    found = [json.loads(done.out) for done in (opsfix[-1], alone)]
    assert [(f["findings"], f["unchecked"]) for f in found] == [([], [])] * 2
    assert json.loads(plain[-1].out)[0] >= SERVERS
    report.title(f"A healthy cloud of {VOLUMES} volumes, {SERVERS} servers and {HOSTS} hosts, median of {TIMES}")
    report.figure("doctor, with the databases", middle(opsfix), " s")
    report.figure("the same listings raw", middle(plain), " s")
    report.figure("doctor : raw", middle(opsfix) / middle(plain), most=1.5)
    report.figure("peak memory of doctor", middle(opsfix, lambda m: m.peak), " MiB", most=300, digits=0)
    report.figure("doctor, by the APIs alone", alone.wall, " s")
    report.figure("its peak memory", alone.peak, " MiB", most=300, digits=0)
