"""Doctor finds exactly what is broken, names what repairs it, and is content once that was done."""

from __future__ import annotations

import shlex
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
    lab.revive_all()
    lab.reset()


def look(lab: Lab, *arguments: str, **environ: str) -> tuple[Ran, dict[str, str]]:
    """A run, and its findings by id."""
    ran = lab.run("doctor", "-o", "json", *arguments, **environ)
    return ran, {i: f["finding"] for f in ran.report["findings"] for i in f["ids"]}


def test_what_is_broken_is_found_and_its_commands_repair_it(site: Site, tmp_path: Path) -> None:
    lab = site.lab
    volume = lab.broken("detaching")["volumes"][0]
    failed = lab.broken("server-error")["servers"][0]
    orphan = allocate(site, provider(site, "gpu-02"))
    [server] = site.servers("gpu-01", "port utan nät")
    [port] = site.api.network.ports(device_id=server)
    site.sql("neutron", "UPDATE ml2_port_bindings SET vif_type = 'binding_failed' WHERE port_id = %s", port.id)
    lab.kill("net-02")
    wait_until(lambda: not all(a.is_alive for a in site.api.network.agents(host="net-02")), 60, "its agents are down")
    agents = {a.id for a in site.api.network.agents(host="net-02")}
    broken = {volume: "volume-detach-hung", failed: "state-error", orphan: "placement-allocation-orphaned", port.id: "port-binding-failed"}

    figures = tmp_path / "doctor.prom"
    ran, seen = look(lab, "--metrics", str(figures), "--since-last")
    assert (ran.code, ran.report["schema"], ran.report["unchecked"]) == (3, "opsfix.doctor/1", [])
    assert seen == broken | dict.fromkeys(agents, "agent-dead"), ran.out
    assert NO_BACKUP in " ".join(ran.report["notes"])
    assert 'opsfix_findings{finding="volume-detach-hung",severity="warning"} 1' in figures.read_text().splitlines()
    _, blind = look(lab, "--skip", "agents", OPSFIX_SERVICES_CONF_DIR=str(tmp_path))
    assert blind == broken, "the same without databases"

    lab.revive("net-02")
    wait_until(lambda: all(a.is_alive for a in site.api.network.agents(host="net-02")), 60, "its agents are up")
    for finding in ran.report["findings"]:
        if finding["check"] != "agents":
            words = shlex.split(finding["command"])
            assert words[0] == "opsfix"
            assert lab.run(*words[1:], "--older-than", "0s").code == 0, finding
    again, seen = look(lab, "--since-last")
    assert (again.code, seen, again.report["unchecked"]) == (0, {}, [])
    assert again.report["since"] is not None
