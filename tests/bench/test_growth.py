"""The cost grows with what is stuck, not with the cloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.measuring import Measured, Report, middle
from tests.bench.population import crowd, volumes
from tests.bench.test_repair import TIMES, repaired
from tests.functional.cloud import Lab

STUCK = 10
SMALL, LARGE = 200, 20_000


def _runs(lab: Lab, ids: list[str], **environ: str) -> list[Measured]:
    return [repaired(lab, ids, **environ) for _ in range(TIMES)]


@pytest.mark.timeout(1800)
def test_healthy_volumes_cost_nothing(lab: Lab, report: Report, tmp_path: Path) -> None:
    """Ten stuck among few and among many healthy ones, with the databases and by the API alone."""
    ids = volumes(lab, STUCK)
    (tmp_path / "empty").mkdir()
    ways = {"with the databases": {}, "by the API alone": {"OPSFIX_SERVICES_CONF_DIR": str(tmp_path / "empty")}}
    measured: dict[tuple[str, int], list[Measured]] = {}
    for size in (SMALL, LARGE):
        with crowd(lab, servers=size // 10, volumes=size):
            for way, environ in ways.items():
                measured[way, size] = _runs(lab, ids, **environ)
    for way in ways:
        small, large = measured[way, SMALL], measured[way, LARGE]
        report.title(f"{STUCK} stuck among {SMALL} and among {LARGE} healthy volumes, a tenth in use, {way}")
        report.figure(f"among {SMALL}", middle(small), " s")
        report.figure(f"among {LARGE}", middle(large), " s")
        report.figure("ratio", middle(large) / middle(small), most=2)
        for size, runs in ((SMALL, small), (LARGE, large)):
            report.figure(f"peak memory among {size}", middle(runs, lambda m: m.peak), " MiB", digits=0)
        report.figure("ratio of memory", middle(large, lambda m: m.peak) / middle(small, lambda m: m.peak), most=1.1)
