"""Doctor finds exactly what is broken, names what repairs it, and is content once that was done."""

from __future__ import annotations

import shlex
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.functional.cloud import Lab, Ran, wait_until
from tests.functional.servers import Site
from tests.functional.test_placement import allocate, provider

#: It looks at the age of backups too, and the lab has none.
NO_BACKUP = "there is no good backup"


@pytest.fixture
def site(lab: Lab) -> Any:
    """A cloud that may be broken; the next test gets it as it was."""
    yield Site(lab)
    lab.reset()


def look(lab: Lab, *arguments: str, **environ: str) -> tuple[Ran, dict[str, str]]:
    """A run, and its findings by id."""
    ran = lab.run("doctor", "-o", "json", *arguments, **environ)
    return ran, {i: f["finding"] for f in ran.report["findings"] for i in f["ids"]}


def test_what_is_broken_is_found_and_its_commands_repair_it(site: Site, tmp_path: Path) -> None:
    lab = site.lab
    volume = lab.broken("detaching-nobody")["volumes"][0]
    failed = lab.broken("server-error")["servers"][0]
    [port] = site.api.network.ports(device_id=failed)
    site.sql("neutron", "UPDATE ml2_port_bindings SET vif_type = 'binding_failed' WHERE port_id = %s", port.id)
    orphan = allocate(site, provider(site, "gpu-02"))
    broken = {volume: "volume-abandoned", failed: "state-error", orphan: "placement-allocation-orphaned", port.id: "port-binding-failed"}

    figures = tmp_path / "doctor.prom"
    ran, seen = look(lab, "--metrics", str(figures), "--since-last")
    assert (ran.code, ran.report["schema"], ran.report["unchecked"]) == (3, "opsfix.doctor/1", [])
    assert seen == broken, ran.out
    assert NO_BACKUP in " ".join(ran.report["notes"])
    assert 'opsfix_findings{finding="volume-abandoned",severity="warning"} 1' in figures.read_text().splitlines()
    _, blind = look(lab, OPSFIX_SERVICES_CONF_DIR=str(tmp_path))
    assert blind == broken, "the same without databases"

    for finding in ran.report["findings"]:
        words = shlex.split(finding["command"])
        assert words[0] == "opsfix"
        assert lab.run(*words[1:], "--older-than", "0s").code == 0, finding
    again, seen = look(lab, "--since-last")
    assert (again.code, seen, again.report["unchecked"]) == (0, {}, [])
    assert again.report["since"] is not None


def life(site: Site, number: int) -> None:
    """A server and a volume made, attached, detached, moved and deleted."""
    [server] = site.servers("gpu-01", f"busy-{number}")
    volume = site.volume(server)
    site.api.compute.delete_volume_attachment(server, volume)
    wait_until(lambda: site.api.block_storage.get_volume(volume).status == "available", 60, "detached")
    site.api.compute.migrate_server(server)
    wait_until(lambda: site.shown(server).status == "VERIFY_RESIZE", 120, "moved")
    site.api.compute.confirm_server_resize(server)
    wait_until(lambda: site.shown(server).status == "ACTIVE", 60, "confirmed")
    site.api.block_storage.delete_volume(volume)
    site.api.compute.delete_server(server)
    wait_until(lambda: site.api.compute.find_server(server) is None, 60, "deleted")


def busy(site: Site, stop: threading.Event) -> int:
    """One life after another; how many."""
    lives = 0
    while not stop.is_set():
        life(site, lives)
        lives += 1
    return lives


def test_a_busy_cloud_is_healthy(site: Site) -> None:
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(busy, site, stop)
        try:
            found = [look(site.lab) for _ in range(3)]
        finally:
            stop.set()
        assert work.result() >= 1
    assert [(seen, ran.report["unchecked"], ran.code) for ran, seen in found] == [({}, [], 0)] * 3
