"""Dead hosts leave nova, placement, neutron and cinder, and come back as if they were new; what lives is never touched."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest
from pymysql.cursors import DictCursor

from tests.functional.cloud import Lab, Ran, wait_until

HOST = "gpu-03"
NEVER = "1e1e1e1e-0000-4000-8000-"
#: Where a host's name stands, in the databases' own words.
PLACES = {
    "nova_cell1": (
        "SELECT uuid FROM services WHERE BINARY host=%s AND deleted=0",
        "SELECT uuid FROM compute_nodes WHERE BINARY host=%s AND deleted=0",
        "SELECT id FROM console_auth_tokens WHERE BINARY host=%s",
    ),
    "nova_api": (
        "SELECT id FROM host_mappings WHERE BINARY host=%s",
        "SELECT id FROM aggregate_hosts WHERE BINARY host=%s",
    ),
    "placement": ("SELECT uuid FROM resource_providers WHERE BINARY name=%s",),
    "neutron": ("SELECT id FROM agents WHERE BINARY host=%s",),
    "cinder": ("SELECT id FROM services WHERE BINARY SUBSTRING_INDEX(host, '@', 1)=%s AND deleted=0",),
}
#: What a purge of one host must leave alone: every row of another's, but for what their own services write all the time.
BYSTANDERS = {
    "nova_cell1": (
        "SELECT id, uuid, host, disabled, forced_down, deleted FROM services WHERE BINARY host<>%s",
        "SELECT id, uuid, host, mapped, deleted FROM compute_nodes WHERE BINARY host<>%s",
        "SELECT * FROM console_auth_tokens WHERE BINARY host<>%s",
        "SELECT * FROM migrations WHERE %s IS NOT NULL",
    ),
    "nova_api": (
        "SELECT * FROM host_mappings WHERE BINARY host<>%s",
        "SELECT * FROM aggregate_hosts WHERE BINARY host<>%s",
    ),
    "placement": (
        "SELECT id, uuid, name FROM resource_providers WHERE BINARY name<>%s",
        "SELECT a.* FROM allocations a JOIN resource_providers p ON p.id=a.resource_provider_id WHERE BINARY p.name<>%s",
    ),
    "neutron": ("SELECT id, host, agent_type FROM agents WHERE BINARY host<>%s",),
    "cinder": (
        "SELECT id, host, disabled, deleted FROM services WHERE BINARY SUBSTRING_INDEX(host, '@', 1)<>%s",
        "SELECT * FROM volumes WHERE %s IS NOT NULL",
    ),
}


def sql(lab: Lab, database: str, statement: str, *values: Any) -> list[dict[str, Any]]:
    """Read or break a table, past every API."""
    url = lab.urls()["nova"]
    connection = pymysql.connect(
        host=url.host, port=url.port, user="root", password="lab-root", database=database, autocommit=True,
        cursorclass=DictCursor,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def traces(lab: Lab, host: str) -> dict[str, list[dict[str, Any]]]:
    """Every row that still names the host."""
    found = {s: sql(lab, database, s, host) for database, statements in PLACES.items() for s in statements}
    return {statement: rows for statement, rows in found.items() if rows}


def others(lab: Lab, host: str) -> dict[str, Any]:
    """Every row that is another host's."""
    return {s: sql(lab, database, s, host) for database, statements in BYSTANDERS.items() for s in statements}


def purge(lab: Lab, *arguments: str) -> Ran:
    return lab.run("compute", "purge", *arguments, "-o", "json")


def reason(ran: Ran, host: str = HOST) -> str:
    assert ran.code == 5, ran.out
    return str(ran.item(host)["reason"])


def provider(lab: Lab, name: str = HOST) -> str:
    found = lab.api.placement.get(f"/resource_providers?name={name}").json()["resource_providers"]
    return str(found[0]["uuid"]) if found else ""


def allocate(lab: Lab, of: str) -> str:
    """An allocation of a consumer that nova does not have."""
    consumer = f"{NEVER}{uuid.uuid4().hex[:12]}"
    body = {
        "allocations": {of: {"resources": {"VCPU": 2, "MEMORY_MB": 64}}}, "project_id": "p", "user_id": "u",
        "consumer_generation": None, "consumer_type": "INSTANCE",
    }
    answer = lab.api.placement.put(f"/allocations/{consumer}", json=body, microversion="1.38")
    assert answer.status_code == 204, answer.text
    return consumer


def discover(lab: Lab) -> None:
    """``nova-manage cell_v2 discover_hosts``, as an operator does once a host is back."""
    etc = Path(lab.environ["OPSFIX_SERVICES_CONF_DIR"]) / "nova" / "nova.conf"
    command = [Path(lab.environ["LAB_VENV"]) / "bin" / "nova-manage", "--config-file", etc, "cell_v2", "discover_hosts"]
    subprocess.run(command, env=lab.environ | {"PYTHONWARNINGS": "ignore"}, capture_output=True, check=True, timeout=60)


def comes_back(lab: Lab) -> None:
    """The same nova-compute, started again, registers cleanly, and servers run on it."""
    lab._lab("revive", HOST, timeout=120)
    wait_until(lambda: [s.state for s in lab.api.compute.services(host=HOST)] == ["up"], 60, f"{HOST} registered and up")
    wait_until(lambda: provider(lab), 60, "its resource provider")
    discover(lab)
    image, flavor = lab.api.image.find_image("cirros"), lab.api.compute.find_flavor("m1.tiny")
    network = lab.api.network.find_network("private")
    server = lab.api.compute.create_server(
        name="returned", image_id=image.id, flavor_id=flavor.id, networks=[{"uuid": network.id}],
        availability_zone=f"nova:{HOST}",
    )
    wait_until(lambda: lab.api.compute.get_server(server.id).status == "ACTIVE", 60, "a server on it")
    assert lab.api.compute.get_server(server.id).compute_host == HOST
    lab.api.compute.delete_server(server.id)
    wait_until(lambda: lab.api.compute.find_server(server.id) is None, 60, "its end")


@pytest.fixture
def fresh(lab: Lab) -> Iterator[Lab]:
    """A cloud from which hosts may be taken away; the next test gets it as it was."""
    yield lab
    lab.reset()


def _check_list(lab: Lab, nowhere: Path) -> None:
    """The dead host is the only one; without databases as much is known of servers."""
    whole = lab.run("compute", "list", "-o", "json")
    [down] = lab.run("compute", "list", "--dead", "-o", "json").report["computes"]
    assert (whole.code, whole.report["schema"]) == (0, "opsfix.compute-list/1")
    assert [(c["host"], c["cell"], c["nodes"]) for c in whole.report["computes"]] == [
        (h, "cell1", [h]) for h in ("gpu-01", "gpu-02", HOST)
    ]
    assert (down["host"], down["state"], down["status"], down["servers"]) == (HOST, "down", "enabled", 1)
    assert down["providers"] == [provider(lab)]
    assert down["heartbeat_age"] >= 4
    without = lab.run("compute", "list", "-o", "json", OPSFIX_SERVICES_CONF_DIR=str(nowhere))
    assert [(c["host"], c["servers"]) for c in without.report["computes"]] == [
        (c["host"], c["servers"]) for c in whole.report["computes"]
    ]


def test_what_lives_or_is_needed_is_listed_and_refused(fresh: Lab, tmp_path: Path) -> None:
    made = fresh.broken("dead-host", HOST)
    [server] = made["servers"]
    _check_list(fresh, tmp_path)
    before = others(fresh, "nobody")

    assert "less than --older-than ago" in reason(purge(fresh, HOST))
    refused = purge(fresh, "gpu-01", HOST, "net-01", "--older-than", "0s", "--fenced", "gpu-01", "--fenced", HOST, "--commit")
    assert "nova-compute on gpu-01 is up, yet said to be fenced" in reason(refused, "gpu-01")
    assert f"1 servers are still on it ({server})" in reason(refused)
    assert "opsfix instance purge --on-hosts" in reason(refused)
    assert "neutron-l3-agent of neutron" in reason(refused, "net-01")
    missing = purge(fresh, "gpu-3", "GPU-03", "gpu-0", "gpu-%", "--older-than", "0s", "--commit")
    assert (missing.code, {i["outcome"] for i in missing.report["items"]}) == (4, {"failed"})

    fresh.api.compute.delete_server(server)
    wait_until(lambda: fresh.api.compute.find_server(server, all_projects=True) is None, 60, "the server gone")
    insert = (
        "INSERT INTO migrations (uuid, instance_uuid, source_compute, dest_compute, source_node, dest_node, status,"
        " migration_type, deleted, hidden, created_at)"
        " VALUES (%s, %s, %s, 'gpu-01', %s, 'gpu-01', 'finished', 'resize', 0, 0, UTC_TIMESTAMP())"
    )
    sql(fresh, "nova_cell1", insert, str(uuid.uuid4()), server, HOST, HOST)
    assert "1 migrations from or to it are not over" in reason(purge(fresh, HOST, "--older-than", "0s", "--commit"))

    sql(fresh, "nova_cell1", "UPDATE migrations SET deleted=id")
    after = others(fresh, "nobody")
    for statement in BYSTANDERS["nova_api"] + BYSTANDERS["neutron"] + BYSTANDERS["nova_cell1"][:2]:
        assert after[statement] == before[statement]


def test_a_dead_host_leaves_every_service_and_comes_back(fresh: Lab) -> None:
    api = fresh.api
    aggregate = api.compute.create_aggregate(name="purged", availability_zone=None)
    for host in (HOST, "gpu-01"):
        api.compute.add_host_to_aggregate(aggregate, host)
    root = provider(fresh)
    child = api.placement.post(
        "/resource_providers", json={"name": f"{HOST}:agent", "parent_provider_uuid": root}, microversion="1.20",
    ).json()["uuid"]
    orphan, kept = allocate(fresh, root), allocate(fresh, provider(fresh, "gpu-01"))
    for host in (HOST, "gpu-01"):
        sql(fresh, "nova_cell1", "INSERT INTO console_auth_tokens (token_hash, console_type, host, port, instance_uuid, expires)"
            " VALUES (%s, 'novnc', %s, 1, 'x', 2000000000)", host, host)  # in 2033: nova removes what is over
    for name in (f"{HOST}@lvm", f"{HOST}@lvm", f"{HOST}.site-b@lvm"):
        sql(fresh, "cinder", "INSERT INTO services (host, `binary`, topic, report_count, disabled, deleted, created_at, updated_at, uuid)"
            " VALUES (%s, 'cinder-volume', 'cinder-volume', 7, 0, 0, UTC_TIMESTAMP(), UTC_TIMESTAMP() - INTERVAL 1 DAY, %s)",
            name, str(uuid.uuid4()))
    fresh.die(HOST)
    before = others(fresh, HOST)

    shown = purge(fresh, HOST, "--older-than", "0s", "--dry-run")
    assert (shown.code, shown.item(HOST)["outcome"]) == (3, "needs_commit")
    assert others(fresh, HOST) == before
    assert len(traces(fresh, HOST)) == 7
    applied = purge(fresh, HOST, "--older-than", "0s")
    assert (applied.code, applied.item(HOST)["finding"]) == (3, "compute-host-dead")
    assert set(traces(fresh, HOST)) == {PLACES["nova_cell1"][2], PLACES["cinder"][0]}
    ran = purge(fresh, HOST, "--older-than", "0s", "--commit")
    assert (ran.code, ran.item(HOST)["outcome"], ran.item(HOST)["by"]) == (0, "repaired", "sql")

    assert traces(fresh, HOST) == {}
    assert [s for s in api.compute.services() if s.host == HOST] == []
    assert [h for h in api.compute.hypervisors() if h.name == HOST] == []
    assert api.compute.get_aggregate(aggregate).hosts == ["gpu-01"]
    assert {api.placement.get(f"/resource_providers/{p}").status_code for p in (root, child)} == {404}
    assert api.placement.get(f"/allocations/{orphan}").json()["allocations"] == {}
    assert api.placement.get(f"/allocations/{kept}").json()["allocations"] != {}
    assert [s.host for s in api.block_storage.services() if s.host.startswith("gpu")] == [f"{HOST}.site-b@lvm"]
    after = others(fresh, HOST)
    purged = {"SELECT id, uuid, name FROM resource_providers WHERE BINARY name<>%s"}
    assert {s: r for s, r in after.items() if s not in purged} == {s: r for s, r in before.items() if s not in purged}
    again = purge(fresh, HOST)
    assert (again.code, again.item(HOST)["outcome"]) == (0, "healthy")
    comes_back(fresh)


def test_what_a_brutal_purge_left_is_cleaned(fresh: Lab, tmp_path: Path) -> None:
    """The rows were deleted by hand, and the host got another uuid: its name is taken, by a provider in use by nobody."""
    api = fresh.api
    aggregate = api.compute.create_aggregate(name="left", availability_zone=None)
    api.compute.add_host_to_aggregate(aggregate, HOST)
    seen, unseen, root = allocate(fresh, provider(fresh)), f"{NEVER}{uuid.uuid4().hex[:12]}", str(uuid.uuid4())
    fresh.die(HOST)
    sql(fresh, "nova_cell1", "DELETE FROM services WHERE host=%s", HOST)
    sql(fresh, "nova_cell1", "DELETE FROM compute_nodes WHERE host=%s", HOST)
    sql(fresh, "placement", "UPDATE resource_providers SET uuid=%s WHERE name=%s", root, HOST)
    for kind in (0, 1):
        sql(fresh, "placement", "INSERT INTO allocations (resource_provider_id, consumer_id, resource_class_id, used)"
            " SELECT id, %s, %s, 1 FROM resource_providers WHERE name=%s", unseen, kind, HOST)
    before = others(fresh, HOST)

    assert f"nothing tells when {HOST} last lived" in reason(purge(fresh, HOST, "--commit"))
    fenced = (HOST, "--fenced", HOST)
    plan = tmp_path / "plan.json"
    assert purge(fresh, *fenced, "--dry-run", "--plan-out", str(plan)).code == 3
    assert json.loads(plan.read_text())["sql"] != {}
    assert fresh.run("apply", str(plan)).code == 3
    assert api.placement.get(f"/resource_providers/{root}").status_code == 200
    applied = fresh.run("apply", str(plan), "--commit", "-o", "json")
    assert applied.code == 3
    assert "what is left was not in it (compute-provider-left)" in applied.item(HOST)["reason"]
    ran = purge(fresh, *fenced, "--commit")

    assert (ran.code, ran.item(HOST)["outcome"]) == (0, "repaired"), ran.out
    assert traces(fresh, HOST) == {}
    assert sql(fresh, "placement", "SELECT * FROM allocations WHERE consumer_id IN (%s, %s)", seen, unseen) == []
    assert api.compute.get_aggregate(aggregate).hosts == []
    assert others(fresh, HOST) == before
    comes_back(fresh)
    assert provider(fresh) != root


def test_a_network_nodes_routers_and_networks_move(fresh: Lab) -> None:
    network = fresh.api.network
    agents = {a.id: a for a in network.agents()}
    l3 = {a.host: a for a in agents.values() if a.agent_type == "L3 agent"}
    dhcp = {a.host: a for a in agents.values() if a.agent_type == "DHCP agent"}
    routers = {r.id for a in l3.values() for r in network.agent_hosted_routers(a)}
    networks = {n.id for a in dhcp.values() for n in network.dhcp_agent_hosting_networks(a)}
    assert [*network.agent_hosted_routers(l3["net-02"])]
    before = others(fresh, "net-02")
    fresh.die("net-02")

    ran = purge(fresh, "net-02", "--older-than", "0s")

    assert (ran.code, ran.item("net-02")["finding"], ran.item("net-02")["by"]) == (0, "compute-host-dead", "api"), ran.out
    assert {a.id for a in network.agents()} == {i for i, a in agents.items() if a.host != "net-02"}
    assert {r.id for r in network.agent_hosted_routers(l3["net-01"])} == routers
    assert {n.id for n in network.dhcp_agent_hosting_networks(dhcp["net-01"])} == networks
    assert others(fresh, "net-02") == before
