"""Servers leave a host that is drained, alive or dead; a host that no cell has is mapped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.cloud import Lab, Ran, bystanders
from tests.functional.servers import Site

HOST, TO = "gpu-03", "gpu-01"
#: Where the bystanders are.
KEPT = "gpu-02"


def drain(lab: Lab, *arguments: str) -> Ran:
    return lab.run("compute", "drain", *arguments, "-o", "json")


def outcomes(ran: Ran) -> dict[str, str]:
    return {i["name"]: i["outcome"] for i in ran.report["items"]}


def rows(site: Site, *servers: str) -> dict[str, tuple[Any, ...]]:
    """Where nova's table has each server, and as what."""
    found = site.sql("nova_cell1", "SELECT uuid, host, vm_state, task_state FROM instances WHERE uuid IN %s", servers)
    return {r["uuid"]: (r["host"], r["vm_state"], r["task_state"]) for r in found}


def guests(lab: Lab, host: str) -> set[str]:
    """The guests that a hypervisor has."""
    return {p.stem for p in (Path(lab.environ["LAB_DIR"]) / "state" / host / "guests").glob("*.json")}


def enabled(lab: Lab, **hosts: bool) -> None:
    """Who takes servers, by the last two digits of its name."""
    for service in lab.api.compute.services(binary="nova-compute"):
        if service.host.replace("-", "_") in hosts:
            change = lab.api.compute.enable_service if hosts[service.host.replace("-", "_")] else lab.api.compute.disable_service
            change(service)


def placed(lab: Lab) -> bool:
    """Whether nova shows the host as one that gets servers."""
    return HOST in {h.name for h in lab.api.compute.hypervisors()}


@pytest.fixture
def servers(lab: Lab) -> Iterator[dict[str, str]]:
    """One server that runs, with a volume, and one that is off, both on HOST; the bystanders are as before in the end."""
    before = bystanders(lab)
    made = lab.broken("healthy", HOST)["servers"][0]
    compute = lab.api.compute
    flavor, image = compute.find_flavor("m1.tiny").id, lab.api.image.find_image("cirros").id
    off = compute.create_server(name="off", flavor_id=flavor, image_id=image, networks="none", availability_zone=f"nova:{HOST}")
    compute.wait_for_server(off)
    compute.stop_server(off)
    compute.wait_for_server(off, status="SHUTOFF")
    yield {"runs": made, "off": off.id}
    assert bystanders(lab) == before
    lab.reset()


def test_servers_leave_a_live_host_and_a_dead_one(lab: Lab, servers: dict[str, str]) -> None:
    site, (runs, off) = Site(lab), servers.values()
    shown = drain(lab, HOST, "--dry-run")
    assert (shown.code, set(outcomes(shown).values())) == (3, {"needs_commit"})
    steps = {i["id"]: [s["what"].split()[1] for s in i["steps"]] for i in shown.report["items"]}
    assert steps == {HOST: ["disable"], runs: ["live-migrate"], off: ["cold-migrate", "confirm"]}
    assert set(rows(site, runs, off).values()) == {(HOST, "active", None), (HOST, "stopped", None)}
    assert drain(lab, "gpu-3").code == 4

    enabled(lab, gpu_01=False, gpu_02=False)
    full = drain(lab, HOST)
    assert full.code == 4, full.out
    assert {i["outcome"]: "No valid host" in i["reason"] for i in full.report["items"]} == {"repaired": False, "failed": True}
    enabled(lab, gpu_01=True)
    ran = drain(lab, HOST)
    assert ran.code == 0, ran.out
    assert sorted(outcomes(ran).values()) == ["healthy", "repaired", "repaired"]
    assert rows(site, runs, off) == {runs: (TO, "active", None), off: (TO, "stopped", None)}
    assert guests(lab, TO) >= {runs, off}
    done = site.sql("nova_cell1", "SELECT status FROM migrations WHERE source_compute=%s AND instance_uuid IN %s", HOST, (runs, off))
    assert {r["status"] for r in done} <= {"completed", "confirmed", "error"}
    [service] = lab.api.compute.services(binary="nova-compute", host=HOST)
    assert (service.status, service.disabled_reason) == ("disabled", "opsfix: the host is being drained")

    enabled(lab, gpu_02=True)
    lab.die(TO)
    refused = drain(lab, TO)
    assert (refused.code, set(outcomes(refused).values())) == (5, {"refused"}), refused.out
    assert all(f"--fenced {TO}" in i["reason"] for i in refused.report["items"])
    assert rows(site, runs, off) == {runs: (TO, "active", None), off: (TO, "stopped", None)}
    ran = drain(lab, TO, "--fenced", TO)
    assert ran.code == 0, ran.out
    assert rows(site, runs, off) == {runs: (KEPT, "active", None), off: (KEPT, "stopped", None)}
    assert drain(lab, TO, "--fenced", TO).report["summary"] == {**ran.report["summary"], "repaired": 0, "healthy": 1}
    [volume] = site.sql("nova_cell1", "SELECT volume_id FROM block_device_mapping WHERE instance_uuid=%s AND volume_id IS NOT NULL"
                        " AND deleted=0", runs)
    assert lab.end_of(volume["volume_id"])["mapped"] == [True]


def test_a_host_that_no_cell_has_is_mapped(cloud: Lab, tmp_path: Path) -> None:
    site = Site(cloud)
    kept = site.sql("nova_api", "SELECT * FROM host_mappings WHERE host<>%s", HOST)
    site.sql("nova_api", "DELETE FROM host_mappings WHERE host=%s", HOST)
    blind = cloud.run("compute", "discover", OPSFIX_SERVICES_CONF_DIR=str(tmp_path))
    assert (blind.code, "configure the databases" in blind.err) == (7, True)
    shown = cloud.run("compute", "discover", "-o", "json")
    assert (shown.code, shown.item(HOST)["outcome"]) == (3, "needs_commit"), shown.out
    assert site.sql("nova_api", "SELECT id FROM host_mappings WHERE host=%s", HOST) == []
    ran = cloud.run("compute", "discover", "--commit", "-o", "json")
    assert (ran.code, ran.item(HOST)["outcome"], ran.item(HOST)["by"]) == (0, "repaired", "sql"), ran.out
    assert placed(cloud)
    undone = cloud.run("undo", ran.report["run"], "--commit")
    assert (undone.code, site.sql("nova_api", "SELECT id FROM host_mappings WHERE host=%s", HOST)) == (0, []), undone.err
    programs = f"{cloud.environ['LAB_VENV']}/bin:{os.environ['PATH']}"
    ran = cloud.run("compute", "discover", "-o", "json", PATH=programs)
    assert (ran.code, ran.item(HOST)["outcome"]) == (0, "repaired"), ran.out
    assert "it is mapped to cell cell1" in ran.item(HOST)["reason"]
    assert len(site.sql("nova_api", "SELECT id FROM host_mappings WHERE BINARY host=%s", HOST)) == 1
    assert site.sql("nova_api", "SELECT * FROM host_mappings WHERE host<>%s", HOST) == kept
    assert cloud.run("compute", "discover", "-o", "json").report["items"] == []
