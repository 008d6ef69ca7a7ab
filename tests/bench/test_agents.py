"""Listing agents where they hold very many servers, against the bare listings."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.bench.measuring import OPSFIX, Report, alternately, measure, middle
from tests.bench.population import crowd
from tests.bench.test_states import HOSTED, LISTED, TIMES
from tests.functional.cloud import Lab


@pytest.mark.timeout(3600)
def test_agents_of_very_many_servers(lab: Lab, report: Report, tmp_path: Path) -> None:
    """``agent list`` by the APIs alone against the same listings raw; by the databases, for comparison."""
    command = [OPSFIX, "agent", "list", "-o", "json"]
    blind = lab.environ | {"OPSFIX_SERVICES_CONF_DIR": str(tmp_path)}
    with crowd(lab, servers=LISTED, volumes=0, hosts=HOSTED):
        opsfix, plain = alternately(
            TIMES, lambda: measure(command, blind), lambda: measure([sys.executable, "-m", "tests.bench.holders"], lab.environ)
        )
        stored = measure(command, lab.environ)
    listed = [json.loads(done.out)["agents"] for done in (opsfix[-1], stored)]
    assert [sum(a["servers"] or 0 for a in agents) >= LISTED for agents in listed] == [True, True]
    assert json.loads(plain[-1].out)[1] >= LISTED
    report.title(f"The agents of a cloud of {LISTED} servers, median of {TIMES}")
    report.figure("agent list, by the APIs alone", middle(opsfix), " s")
    report.figure("the same listings raw", middle(plain), " s")
    report.figure("opsfix : raw", middle(opsfix) / middle(plain), most=1.3)
    report.figure("agent list, by the databases", stored.wall, " s")
    report.figure("peak memory of opsfix", middle(opsfix, lambda m: m.peak), " MiB", digits=0)
