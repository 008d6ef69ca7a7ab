"""Five hundred forwardings from a file: by opsfix, by the same requests sent raw, and by the bare creations."""

from __future__ import annotations

import csv
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.bench.measuring import OPSFIX, Measured, Report, alternately, measure, middle
from tests.bench.recording import Sent, recording
from tests.functional.cloud import Lab
from tests.functional.forwarding import Edge, make_edge

COUNT = int(os.environ.get("OPSFIX_BENCH_FORWARDINGS", "500"))
TIMES = int(os.environ.get("OPSFIX_BENCH_TIMES", "3"))
WORKERS = 8
FIPS, PORTS = 8, 10
IMPORT = [OPSFIX, "forward", "import", "--workers", str(WORKERS), "-o", "json"]


def write(edge: Edge, file: Path, count: int) -> Path:
    """A file of this many, over all floating IPs and ports."""
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["floating_ip_address", "external_port", "internal_port", "internal_port_id"])
        for n in range(count):
            writer.writerow([edge.addresses[n % FIPS], 1000 + n, 10000 + n, edge.ports[n % PORTS].id])
    return file


def imported(edge: Edge, file: Path, count: int, **environ: str) -> Measured:
    """Import into floating IPs without any."""
    edge.wipe()
    done = measure([*IMPORT, str(file)], edge.lab.environ | environ)
    assert json.loads(done.out)["summary"]["repaired"] == count
    assert len(edge.rows()) == count + 1
    return done


def sequences(edge: Edge, like: list[Sent], count: int) -> list[list[dict[str, Any]]]:
    """What opsfix sends for one, the creation and the look after it, for each of them."""
    post, get = (next(s for s in like if s.method == method) for method in ("POST", "GET"))
    base = post.url.split("/floatingips/")[0]
    made = []
    for n in range(count):
        url = f"{base}/floatingips/{edge.fips[n % FIPS].id}/port_forwardings"
        body = {"port_forwarding": {
            "internal_port_id": edge.ports[n % PORTS].id, "internal_ip_address": edge.inside(n % PORTS), "protocol": "tcp",
            "external_port": 1000 + n, "internal_port": 10000 + n,
        }}
        made.append([
            asdict(post) | {"url": url, "body": json.dumps(body)},
            asdict(get) | {"url": f"{url}?limit=1000&protocol=tcp&external_port={1000 + n}"},
        ])
    return made


@pytest.mark.timeout(3600)
def test_an_import(lab: Lab, report: Report, tmp_path: Path) -> None:
    """The wall time of opsfix against the same requests over plain sessions, with the same workers."""
    edge = make_edge(lab, FIPS + 1, PORTS + 1)
    file = write(edge, tmp_path / "all.csv", COUNT)
    with recording() as found:
        imported(edge, write(edge, tmp_path / "few.csv", FIPS), FIPS, **found.environ())
    of_one = [s for s in found.sent if "/port_forwardings" in s.url and (s.method == "POST" or "external_port=" in s.url)]
    assert len(of_one) == 2 * FIPS
    once = [asdict(s) for s in found.sent if s not in of_one]
    whole = sequences(edge, of_one, COUNT)

    def raw(subjects: list[list[dict[str, Any]]]) -> Measured:
        edge.wipe()
        plan = {"once": once, "each": [], "recorded": "", "workers": WORKERS, "subjects": subjects}
        (tmp_path / "plan.json").write_text(json.dumps(plan))
        done = measure([sys.executable, "-m", "tests.bench.raw", str(tmp_path / "plan.json")], lab.environ)
        assert json.loads(done.out)["refused"] == 0
        assert len(edge.rows()) == COUNT + 1
        return done

    opsfix, same, bare = alternately(
        TIMES, lambda: imported(edge, file, COUNT), lambda: raw(whole), lambda: raw([each[:1] for each in whole])
    )
    report.title(f"import of {COUNT} forwardings over {FIPS} floating IPs, {WORKERS} workers, median of {TIMES}")
    report.figure("opsfix", middle(opsfix), " s")
    report.figure("the same requests raw", middle(same), " s")
    report.figure("opsfix : raw", middle(opsfix) / middle(same), most=1.3)
    report.figure("the creations alone, never read again", middle(bare), " s")
    report.figure("opsfix : creations alone", middle(opsfix) / middle(bare))
    report.figure("requests a run besides", len(once), digits=0)
    report.figure("CPU of opsfix", middle(opsfix, lambda m: m.user + m.system), " s")
    report.figure("peak memory of opsfix", middle(opsfix, lambda m: m.peak), " MiB", digits=0)
