"""Three hundred stuck volumes: by opsfix, by the same requests sent raw, and by the shell."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.bench.measuring import OPSFIX, Measured, Report, alternately, measure, middle
from tests.bench.population import states, stick, volumes
from tests.bench.recording import Recording, recording
from tests.functional.cloud import Lab

COUNT = int(os.environ.get("OPSFIX_BENCH_VOLUMES", "300"))
TIMES = int(os.environ.get("OPSFIX_BENCH_TIMES", "3"))
WORKERS = 8
SAMPLE = 5
UNSTICK = [OPSFIX, "volume", "unstick", "--all", "--older-than", "0s", "--limit", "0", "--workers", str(WORKERS), "-o", "json"]


@pytest.fixture(scope="module")
def stuck(lab: Lab) -> list[str]:
    """The volumes; free before they are made stuck."""
    return volumes(lab, COUNT)


def repaired(lab: Lab, ids: list[str], **environ: str) -> Measured:
    """Make the volumes stuck, and measure how opsfix repairs them."""
    stick(lab, ids)
    done = measure(UNSTICK, lab.environ | environ)
    assert json.loads(done.out)["summary"]["repaired"] == len(ids)
    assert states(lab, ids) == {"available": len(ids)}
    return done


def recorded(lab: Lab, ids: list[str]) -> Recording:
    """What opsfix sends for a few volumes; the same for each, else a raw run could not send the same."""
    with recording() as found:
        repaired(lab, ids, **found.environ())
    kinds = Counter(tuple((s.method, s.url.replace(i, "ID")) for s in found.of(i)) for i in ids)
    assert len(kinds) == 1, kinds
    return found


def raw_plan(lab: Lab, found: Recording, ids: list[str], like: str) -> dict[str, Any]:
    """The requests of one volume for each, and those of the whole run once."""
    each = found.of(like)
    once = [s for s in found.sent if not any(i in s.url for i in ids)]
    return {"once": [asdict(s) for s in once], "each": [asdict(s) for s in each], "recorded": like, "workers": WORKERS}


@pytest.mark.timeout(1800)
def test_three_hundred(lab: Lab, stuck: list[str], report: Report, tmp_path: Path) -> None:
    """The wall time of opsfix against the same requests over plain sessions."""
    sample = stuck[:WORKERS]
    found = recorded(lab, sample)
    plan = raw_plan(lab, found, sample, sample[0]) | {"subjects": stuck}
    (tmp_path / "plan.json").write_text(json.dumps(plan))

    def raw() -> Measured:
        stick(lab, stuck)
        done = measure([sys.executable, "-m", "tests.bench.raw", str(tmp_path / "plan.json")], lab.environ)
        assert json.loads(done.out)["refused"] == 0
        assert states(lab, stuck) == {"available": COUNT}
        return done

    opsfix, plain = alternately(TIMES, lambda: repaired(lab, stuck), raw)
    each = middle(opsfix) / COUNT
    report.title(f"{COUNT} stuck volumes, {WORKERS} workers, median of {TIMES}")
    report.figure("opsfix", middle(opsfix), " s")
    report.figure("the same requests raw", middle(plain), " s")
    report.figure("opsfix : raw", middle(opsfix) / middle(plain), most=1.3)
    report.figure("opsfix, a volume", each * 1000, " ms", digits=1)
    report.figure("requests a volume", len(plan["each"]), digits=0)
    report.figure("of these changes", sum(s["method"] != "GET" for s in plan["each"]), digits=0)
    report.figure("requests a run besides", len(plan["once"]), digits=0)
    report.figure("CPU of opsfix", middle(opsfix, lambda m: m.user + m.system), " s")
    report.figure("CPU of the raw client", middle(plain, lambda m: m.user + m.system), " s")
    report.figure("peak memory of opsfix", middle(opsfix, lambda m: m.peak), " MiB", digits=0)

    shell = shell_way(lab, stuck[:SAMPLE], report)
    report.figure("shell : opsfix, a volume", shell / each, least=20)


def shell_way(lab: Lab, ids: list[str], report: Report) -> float:
    """Seconds a volume with the clients that an administrator's script calls: two of OpenStack, two of the database.

    The statements only read the rows that such scripts delete.
    """
    stick(lab, ids)
    clients = Path(os.environ.get("LAB_VENV") or Path(lab.environ["LAB_DIR"]) / "venv") / "bin"
    openstack, cinder = ([str(clients / name)] for name in ("openstack", "cinder"))
    free = ["--state", "available", "--attach-status", "detached"]
    listed = measure([*openstack, "volume", "list", "--all-projects", "-f", "value", "-c", "ID", "-c", "Status"], lab.environ)
    assert set(ids) <= {line.split()[0] for line in listed.out.splitlines() if line.endswith("detaching")}
    walls = []
    for volume_id in ids:
        done = [
            measure([*cinder, "reset-state", *free, volume_id], lab.environ),
            measure([*openstack, "volume", "show", volume_id, "-f", "value", "-c", "status"], lab.environ),
            _sql(lab, "cinder", f"SELECT id FROM volume_attachment WHERE volume_id='{volume_id}'"),
            _sql(lab, "nova", f"SELECT id FROM block_device_mapping WHERE volume_id='{volume_id}'"),
        ]
        assert done[1].out.strip() == "available"
        walls.append(sum(d.wall for d in done))
    report.title(f"The shell way, {len(ids)} volumes")
    report.figure("openstack volume list, once", listed.wall, " s")
    report.figure("two clients and two statements, a volume", sum(walls) / len(walls), " s")
    return sum(walls) / len(walls)


def _sql(lab: Lab, service: str, statement: str) -> Measured:
    url = lab.urls()[service]
    return measure(
        ["mariadb", "-h", url.host, "-P", str(url.port), "-u", url.username, url.database, "-e", statement],
        lab.environ | {"MYSQL_PWD": url.password},
    )
