"""Doctor on a large healthy cloud, against the bare listings of what it looks at."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench.measuring import OPSFIX, Measured, Report, alternately, measure, middle
from tests.bench.population import crowd
from tests.functional.cloud import Lab

#: Servers with a volume and a port each, hosts, and runs of each side.
SERVERS, HOSTS, TIMES = int(os.environ.get("OPSFIX_BENCH_SERVERS") or 10_000), 500, 3
DOCTOR = [OPSFIX, "doctor", "-o", "json"]
#: Servers whose mappings are asked for at the same time, as opsfix.mismatches does.
MAPPINGS = "8"
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


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.bench.everything", *arguments]


@pytest.fixture
def large(lab: Lab) -> Iterator[Lab]:
    """A healthy cloud of many."""
    with counted(lab), crowd(lab, servers=SERVERS, volumes=VOLUMES, hosts=HOSTS):
        count(lab)
        yield lab


def told(report: Report, way: str, doctor: list[Measured], plain: list[Measured]) -> None:
    found = json.loads(doctor[-1].out)
    assert (found["findings"], found["unchecked"]) == ([], [])
    assert json.loads(plain[-1].out)[0] >= SERVERS
    report.title(f"A healthy cloud of {VOLUMES} volumes, {SERVERS} servers and {HOSTS} hosts, {way}, median of {len(doctor)}")
    report.figure("doctor", middle(doctor), " s")
    report.figure("the same listings raw", middle(plain), " s")
    report.figure("doctor : raw", middle(doctor) / middle(plain), most=1.5)
    report.figure("peak memory of doctor", middle(doctor, lambda m: m.peak), " MiB", most=300, digits=0)


@pytest.mark.timeout(3600)
def test_with_the_databases(large: Lab, report: Report) -> None:
    """Everything is looked at, and nothing is found."""
    runs = alternately(TIMES, lambda: measure(DOCTOR, large.environ), lambda: measure(command(), large.environ))
    told(report, "with the databases", *runs)


@pytest.mark.timeout(3600)
def test_by_the_apis_alone(large: Lab, report: Report, tmp_path: Path) -> None:
    """The same where no database is configured: nova tells server by server what each maps."""
    blind = large.environ | {"OPSFIX_SERVICES_CONF_DIR": str(tmp_path)}
    runs = alternately(1, lambda: measure(DOCTOR, blind), lambda: measure(command(MAPPINGS), blind))
    told(report, "by the APIs alone", *runs)
