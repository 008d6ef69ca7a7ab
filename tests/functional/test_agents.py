"""Dead agents are listed and removed, what they serve goes to live ones first; what lives or is needed is left alone."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.cloud import Lab, Ran, bystanders, wait_until
from tests.functional.servers import Site

STORE = "cinder-02@fake"
#: Controllers that were taken out long ago; nobody told the services.
OLD, OLDER = "ctl-0", "ctl-00"
AGENTS = ("neutron-dhcp-agent", "neutron-l3-agent", "neutron-metadata-agent", "neutron-openvswitch-agent")
#: Every row of another host's, but for what its own services write all the time.
OTHERS = {
    "nova_cell1": "SELECT id, uuid, host, `binary`, disabled, forced_down, deleted FROM services WHERE host NOT IN %s",
    "cinder": "SELECT id, uuid, host, `binary`, disabled, deleted FROM services WHERE host NOT IN %s",
    "neutron": "SELECT id, host, agent_type, admin_state_up FROM agents WHERE host NOT IN %s",
}


def clean(lab: Lab, *arguments: str, **environ: str) -> Ran:
    return lab.run("agent", "clean", *arguments, "-o", "json", **environ)


def listed(lab: Lab, *arguments: str, **environ: str) -> dict[tuple[str, str], dict[str, Any]]:
    ran = lab.run("agent", "list", *arguments, "-o", "json", **environ)
    assert (ran.code, ran.report["schema"]) == (0, "opsfix.agent-list/1"), ran.err
    return {(a["binary"], a["host"]): a for a in ran.report["agents"]}


def others(site: Site) -> dict[str, Any]:
    """What no run here may change."""
    dead = ("net-02", STORE, OLD, OLDER)
    return {d: site.sql(d, statement, dead) for d, statement in OTHERS.items()} | {"volumes": site.sql("cinder", "SELECT * FROM volumes")}


def served(lab: Lab, host: str) -> tuple[set[str], set[str]]:
    """Ids of the routers and networks of a host's agents."""
    network = lab.api.network
    l3, dhcp = (next(network.agents(host=host, agent_type=kind)) for kind in ("L3 agent", "DHCP agent"))
    return {r.id for r in network.agent_hosted_routers(l3)}, {n.id for n in network.dhcp_agent_hosting_networks(dhcp)}


def outcomes(ran: Ran) -> dict[str, str]:
    return {i["name"]: i["outcome"] for i in ran.report["items"]}


def add_services(site: Site) -> None:
    """Services of nova and cinder that were last heard of yesterday."""
    columns = "report_count, disabled, deleted, created_at, updated_at, uuid"
    values = "7, 0, 0, UTC_TIMESTAMP() - INTERVAL 9 DAY, UTC_TIMESTAMP() - INTERVAL 1 DAY, %s"
    site.sql(
        "nova_cell1", f"INSERT INTO services (host, `binary`, topic, {columns}, last_seen_up, version, forced_down)"
        f" VALUES (%s, 'nova-scheduler', 'scheduler', {values}, UTC_TIMESTAMP() - INTERVAL 1 DAY, 66, 0)", OLDER, str(uuid.uuid4()),
    )
    for host, binary in ((OLD, "cinder-scheduler"), (OLDER, "cinder-backup")):
        site.sql(
            "cinder", f"INSERT INTO services (host, `binary`, topic, {columns}) VALUES (%s, %s, %s, {values})",
            host, binary, binary, str(uuid.uuid4()),
        )


@pytest.fixture
def broken(lab: Lab) -> Iterator[Lab]:
    """net-02 dead with an HA router and others on it, cinder-02 dead with a volume, two old controllers in the tables."""
    site = Site(lab)
    before = bystanders(lab)
    lab.api.network.create_router(name="ha", is_ha=True)
    volume = lab.api.block_storage.create_volume(name="kept", size=1, volume_type="cinder-02")
    wait_until(lambda: lab.api.block_storage.get_volume(volume).status == "available", 60, "a volume on cinder-02")
    add_services(site)
    lab.die("net-02")
    lab.die("cinder-02")
    yield lab
    assert bystanders(lab) == before
    lab.reset()


def test_dead_agents_go_and_what_lives_or_is_needed_stays(broken: Lab, tmp_path: Path) -> None:
    lab, site = broken, Site(broken)
    routers, networks = served(lab, "net-02")
    before = others(site)
    _check_list(lab, tmp_path, routers, networks)
    _check_refusals(lab)
    assert others(site) == before

    plan = str(tmp_path / "plan.json")
    assert clean(lab, "--host", OLDER, "--dry-run", "--plan-out", plan).code == 3
    ran = lab.run("apply", plan, "--commit", "-o", "json")
    assert (ran.code, {i["name"]: (i["outcome"], i["by"]) for i in ran.report["items"]}) == (
        0, {f"nova-scheduler on {OLDER}": ("repaired", "api"), f"cinder-backup on {OLDER}": ("repaired", "sql")},
    ), ran.out
    programs = f"{lab.environ['LAB_VENV']}/bin:{os.environ['PATH']}"
    ran = clean(lab, "--all", "--older-than", "0s", PATH=programs)
    assert (ran.code, outcomes(ran)) == (5, {
        **{f"{b} on net-02": "repaired" for b in AGENTS}, f"cinder-scheduler on {OLD}": "repaired", f"cinder-volume on {STORE}": "refused",
    }), ran.out

    assert {host for _, host in listed(lab, "--dead")} == {STORE}
    rows = site.sql("cinder", "SELECT `binary`, deleted, deleted_at IS NOT NULL AS dated FROM services WHERE host IN %s", (OLD, OLDER))
    assert {(r["binary"], r["deleted"], r["dated"]) for r in rows} == {("cinder-scheduler", 1, 1), ("cinder-backup", 1, 1)}
    assert site.sql("nova_cell1", "SELECT deleted = id AS gone FROM services WHERE host=%s", OLDER) == [{"gone": 1}]
    assert site.sql("neutron", "SELECT id FROM agents WHERE host='net-02'") == []
    ports = site.sql("neutron", "SELECT id FROM ports WHERE device_owner='network:router_ha_interface'")
    assert len(ports) == 1  # that of net-01
    assert served(lab, "net-01")[0] >= routers
    assert served(lab, "net-01")[1] >= networks
    assert others(site) == before


def _check_list(lab: Lab, nowhere: Path, routers: set[str], networks: set[str]) -> None:
    """The dead are those, by the databases as by the APIs alone, and it is told what hangs on them."""
    dead = listed(lab, "--dead")
    scheduler = {("nova-scheduler", OLDER), ("cinder-scheduler", OLD), ("cinder-backup", OLDER)}
    assert set(dead) == {(b, "net-02") for b in AGENTS} | scheduler | {("cinder-volume", STORE)}
    assert dead["neutron-l3-agent", "net-02"]["routers"] == len(routers) > 1
    assert dead["neutron-dhcp-agent", "net-02"]["networks"] == len(networks) > 0
    assert dead["cinder-volume", STORE]["volumes"] >= 1
    assert dead["nova-scheduler", OLDER]["heartbeat_age"] > 80000
    whole, without = listed(lab), listed(lab, OPSFIX_SERVICES_CONF_DIR=str(nowhere))
    told = ("id", "state", "status", "servers", "routers", "networks", "volumes")
    assert {k: [a[t] for t in told] for k, a in without.items()} == {k: [a[t] for t in told] for k, a in whole.items()}
    there = lab.rows("nova", "SELECT uuid FROM instances WHERE host = 'gpu-02' AND deleted = 0")
    assert whole["nova-compute", "gpu-02"]["servers"] == len(there) > 0
    living = (whole["neutron-l3-agent", "net-01"]["routers"], whole["neutron-dhcp-agent", "net-01"]["networks"])
    assert living == tuple(map(len, served(lab, "net-01")))
    assert min(living) > 0


def _check_refusals(lab: Lab) -> None:
    """Nothing here is changed, whatever is said."""
    now = ("--older-than", "0s", "--commit")
    hosts = ("net-01", "gpu-01", STORE, "net-0", "NET-02", "cinder-02@FAKE")
    ran = clean(lab, *(word for host in hosts for word in ("--host", host)), "--fenced", "net-01", "--fenced", "cinder-02", *now)
    assert ran.code == 4, ran.out
    assert {i["id"] for i in ran.report["items"] if i["outcome"] == "failed"} == set(hosts[3:])
    assert {i["outcome"] for i in ran.report["items"]} == {"failed", "refused"}
    told = {i["name"]: i["reason"] for i in ran.report["items"]}
    assert all("what lives is never removed" in told[f"{b} on net-01"] for b in AGENTS)
    assert "nova-compute on gpu-01 is up" in told["nova-compute on gpu-01"]
    assert f"cinder-manage volume update_host --currenthost {STORE}#POOL" in told[f"cinder-volume on {STORE}"]
    assert "cinder failover-host" in told[f"cinder-volume on {STORE}"]
    young = clean(lab, "--host", "net-02")
    assert (young.code, {"--older-than ago" in i["reason"] for i in young.report["items"]}) == (5, {True})
    shown = clean(lab, "--all", "--older-than", "0s", "--dry-run")
    assert (shown.code, len(shown.report["items"])) == (5, 8)
