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
from tests.bench.population import MARK, _copy, _models, _root, crowd
from tests.functional.cloud import Lab

#: Volumes, a tenth of them in use by a server each, and runs of each side.
VOLUMES, TIMES = int(os.environ.get("OPSFIX_BENCH_VOLUMES") or 20_000), 3


@contextmanager
def allocated(lab: Lab, count: int) -> Iterator[None]:
    """Placement counts for the servers of the crowd what it counts for the one that they are copies of."""
    [row] = lab.rows("cinder", "SELECT instance_uuid FROM volume_attachment WHERE volume_id=%s AND deleted=0", _models(lab)[1])
    server, db = row["instance_uuid"], _root(lab)
    tables = {"allocations": "consumer_id", "consumers": "uuid"}
    with db, db.cursor() as cursor:
        try:
            for table, column in tables.items():
                _copy(cursor, f"placement.{table}", f"{column}='{server}'", count, **{column: "vm"})
            yield
        finally:
            for table, column in tables.items():
                cursor.execute(f"DELETE FROM placement.{table} WHERE {column} LIKE '{MARK}%'")


@pytest.mark.timeout(3600)
def test_a_large_healthy_cloud(lab: Lab, report: Report, tmp_path: Path) -> None:
    """Everything is looked at, nothing is found, by the databases and by the API alone."""
    doctor = [OPSFIX, "doctor", "-o", "json"]
    blind = lab.environ | {"OPSFIX_SERVICES_CONF_DIR": str(tmp_path)}
    servers = VOLUMES // 10
    with crowd(lab, VOLUMES), allocated(lab, servers):
        opsfix, plain = alternately(
            TIMES, lambda: measure(doctor, lab.environ), lambda: measure([sys.executable, "-m", "tests.bench.everything"], lab.environ)
        )
        alone = measure(doctor, blind)
    found = [json.loads(done.out) for done in (opsfix[-1], alone)]
    assert [(f["findings"], f["unchecked"]) for f in found] == [([], [])] * 2
    assert json.loads(plain[-1].out)[0] >= servers
    report.title(f"A healthy cloud of {VOLUMES} volumes and {servers} servers, median of {TIMES}")
    report.figure("doctor, with the databases", middle(opsfix), " s")
    report.figure("the same listings raw", middle(plain), " s")
    report.figure("doctor : raw", middle(opsfix) / middle(plain), most=1.5)
    report.figure("peak memory of doctor", middle(opsfix, lambda m: m.peak), " MiB", most=300, digits=0)
    report.figure("doctor, by the APIs alone", alone.wall, " s")
    report.figure("its peak memory", alone.peak, " MiB", most=300, digits=0)
