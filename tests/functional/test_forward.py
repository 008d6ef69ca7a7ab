"""Port forwardings on a real neutron: made, refused, removed, imported, audited; ends read from its tables."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.cloud import Lab, wait_until
from tests.functional.forwarding import Edge, make_edge, unreliable

MANY = 500


@pytest.fixture(scope="module")
def made(lab: Lab) -> Iterator[Edge]:
    """What to forward from and to; gone with the lab's next state."""
    lab.reset()
    yield make_edge(lab)
    lab.reset()


@pytest.fixture
def edge(made: Edge) -> Iterator[Edge]:
    """The same without forwardings but the bystander's, whose whole row stays as it is."""
    before = [r for r in made.rows() if r["floating_ip_address"] == made.addresses[-1]]
    assert len(before) == 1
    yield made
    made.clear()
    assert made.rows() == before


def one_line(err: str) -> str:
    (line,) = err.strip().splitlines()
    assert line.startswith("opsfix: ")
    return line


def test_what_is_added_is_there_and_what_is_removed_is_gone(edge: Edge) -> None:
    fip, port = edge.addresses[0], edge.ports[0]
    given = ("add", fip, "--to", "edge-0", "--port", "60122:22", "--port", "6000-6010:7000-7010")

    shown = edge.run(*given, "--dry-run")
    assert (shown.code, edge.there(0)) == (3, [])
    ran = edge.run(*given)

    assert ran.code == 0, ran.err
    assert {(i["type"], i["outcome"], i["by"]) for i in ran.report["items"]} == {("port_forwarding", "repaired", "api")}
    inside = edge.inside(0)
    there = [(fip, "tcp", 6000, 6010, 7000, inside), (fip, "tcp", 60122, 60122, 22, inside)]
    assert edge.there(0) == there
    before = edge.rows()
    again = edge.run(*given)
    assert (again.code, again.report["summary"]["healthy"], edge.rows()) == (0, 2, before)

    udp = edge.run("add", edge.fips[0].id, "--to", f"{port.id}:{inside}", "--port", "60122:22", "--protocol", "udp")
    assert (udp.code, len(edge.there(0))) == (0, 3)
    listed = edge.run("list", fip)
    assert [(f["protocol"], f["external_port"], f["server_name"]) for f in listed.report["forwardings"]] == [
        ("tcp", "6000-6010", "wéb-01"), ("tcp", "60122", "wéb-01"), ("udp", "60122", "wéb-01"),
    ]

    gone = edge.run("remove", fip, "--port", "6000-6010", "--port", "60122")
    assert (gone.code, gone.report["summary"]["repaired"]) == (0, 2)
    assert edge.there(0) == [(fip, "udp", 60122, 60122, 22, inside)]
    last = edge.run("remove", fip, "--id", listed.report["forwardings"][2]["id"])
    assert (last.code, edge.there(0), edge.routers()[fip]) == (0, [], None)
    assert edge.run("remove", fip, "--port", "60122").code == 4


def test_a_server_is_named_and_one_with_several_addresses_needs_the_one(edge: Edge) -> None:
    ran = edge.run("add", edge.addresses[0], "--to", "wéb-01", "--port", "80:8080")
    assert ran.code == 2
    assert f"wéb-01:{edge.inside(0)}" in ran.err or edge.inside(0) in ran.err
    ran = edge.run("add", edge.addresses[0], "--to", f"wéb-01:{edge.inside(2)}", "--port", "80:8080")
    assert (ran.code, edge.there(0)) == (0, [(edge.addresses[0], "tcp", 80, 80, 8080, edge.inside(2))])


def in_use(edge: Edge) -> tuple[str, str, str]:
    edge.lab.api.network.update_ip(edge.fips[1], port_id=edge.ports[1].id)
    return edge.addresses[1], "edge-2", f"in use as such, by port {edge.ports[1].id}"


def has_own_address(edge: Edge) -> tuple[str, str, str]:
    edge.lab.api.network.update_ip(edge.fips[1], port_id=edge.ports[1].id)
    return edge.addresses[2], "edge-1", f"has the floating IP {edge.addresses[1]} of its own"


def foreign_address(edge: Edge) -> tuple[str, str, str]:
    return edge.addresses[2], "edge-1:10.0.3.253", "is not an address of port"


def other_router(edge: Edge) -> tuple[str, str, str]:
    edge.forward(2, 2, 1, 1)
    far = edge.port("far", "demo-private", device_id="", device_owner="")
    return edge.addresses[2], far.id, "is bound to router"


def taken_outside(edge: Edge) -> tuple[str, str, str]:
    edge.forward(2, 2, 60122, 100)
    return edge.addresses[2], "edge-1", "the external port is taken by forwarding"


def taken_inside(edge: Edge) -> tuple[str, str, str]:
    edge.forward(1, 1, 99, 22)
    return edge.addresses[2], "edge-1", f"is reached through {edge.addresses[1]}:99/tcp already"


@pytest.mark.parametrize("build", [in_use, has_own_address, foreign_address, other_router, taken_outside, taken_inside],
                         ids=lambda b: b.__name__)
def test_a_refusal_is_one_line_and_nothing_is_sent(edge: Edge, build: Any) -> None:
    try:
        fip, target, words = build(edge)
        before = edge.rows()
        ran = edge.run("add", fip, "--to", target, "--port", "60122:22", "--port", "443:8443")
        assert ran.code == 5, ran.err
        assert words in one_line("\n".join(line for line in ran.err.splitlines() if ":60122/tcp" in line))
        assert {i["outcome"] for i in ran.report["items"]} == {"refused"}
        assert edge.rows() == before
    finally:
        edge.lab.api.network.update_ip(edge.fips[1], port_id=None)


def test_what_does_not_exist_or_may_be_several_is_told(edge: Edge) -> None:
    fip = edge.addresses[0]
    edge.port("twin", device_id="", device_owner="")
    edge.port("twin", device_id="", device_owner="")
    before = edge.rows()
    for code, *given in (
        (4, "198.51.100.0", "edge-0", "1:1"), (4, fip, "日本語 ✓' OR 1=1", "1:1"), (2, fip, "twin", "1:1"), (5, fip, "edge-0", "1:1 1:2"),
    ):
        ran = edge.run("add", given[0], "--to", given[1], *(w for p in given[2].split() for w in ("--port", p)))
        assert ran.code == code, (given, ran.err)
        one_line(ran.err)
    assert edge.rows() == before
    assert edge.run("remove", fip, "--all", "--port", "1").code == 2


def test_removing_many_at_a_time_frees_the_floating_ip(edge: Edge) -> None:
    """neutron itself keeps the router when two removals meet; the table tells."""
    fip = edge.addresses[0]
    pairs = [w for n in range(16) for w in ("--port", f"{1000 + n}:{2000 + n}")]
    assert edge.run("add", fip, "--to", "edge-0", *pairs, "--workers", "8").code == 0
    assert edge.routers()[fip]
    assert edge.run("remove", fip, "--all", "--dry-run").code == 3
    assert len(edge.there(0)) == 16

    ran = edge.run("remove", fip, "--all", "--workers", "8")

    assert (ran.code, ran.report["summary"]["repaired"]) == (0, 16)
    assert edge.there(0) == []
    assert edge.routers()[fip] is None
    journal = (edge.lab.state_dir / "runs" / ran.report["run"] / "journal.jsonl").read_text(encoding="utf-8")
    events = [json.loads(line) for line in journal.splitlines()]
    kept = [e["inverse"]["create_port_forwarding"] for e in events if e["event"] == "api-before"]
    assert sorted(k["external"] for k in kept) == [[1000 + n, 1000 + n] for n in range(16)]
    assert {(k["port_id"], k["address"], k["protocol"], k["floating_ip_id"]) for k in kept} == {
        (edge.ports[0].id, edge.inside(0), "tcp", edge.fips[0].id),
    }


def test_a_lost_answer_is_read_back_and_never_sent_twice(edge: Edge) -> None:
    given = ("add", edge.addresses[0], "--to", "edge-0", "--port", "60122:22")
    with unreliable(["down"]) as environ:
        ran = edge.run(*given, OPSFIX_DEADLINE="1", **environ)
    assert (ran.code, ran.report["items"][0]["outcome"], edge.there(0)) == (6, "unknown", [])
    with unreliable(["lost"]) as environ:
        ran = edge.run(*given, OPSFIX_DEADLINE="10", **environ)
    assert (ran.code, ran.report["items"][0]["outcome"]) == (0, "repaired"), ran.out
    assert len(edge.there(0)) == 1


def test_an_export_puts_everything_back(edge: Edge, tmp_path: Path) -> None:
    for made in ((0, 0, 60122, 22), (0, 0, 6000, 7000), (1, 1, 53, 53)):
        edge.forward(*made)
    before = edge.there(0, 1, -1)
    file = tmp_path / "all.csv"
    assert edge.lab.run("forward", "export", str(file)).code == 0
    as_yaml = tmp_path / "all.yaml"
    as_yaml.write_text(edge.lab.run("forward", "export").out)
    edge.clear()
    edge.forward(1, 2, 5353, 5353)

    shown = edge.run("import", str(file), "--dry-run", "--prune")
    assert shown.code == 3
    assert sorted(line[0] for line in shown.err.splitlines()) == ["+", "+", "+", "-", "="]
    assert len(edge.there(0)) == 0
    ran = edge.run("import", str(file), "--prune")
    assert ran.code == 0, ran.err
    assert edge.there(0, 1, -1) == before
    again = edge.run("import", str(as_yaml))
    assert (again.code, again.report["summary"]["healthy"]) == (0, 4)


def test_a_wrong_file_changes_nothing(edge: Edge, tmp_path: Path) -> None:
    before = edge.rows()
    file = tmp_path / "f.csv"
    head = "floating_ip_address,external_port,internal_port,server,internal_port_id\n"
    good = f"{edge.addresses[0]},1,1,,{edge.ports[0].id}\n"
    for code, lines, wanted in (
        (4, f"{good}198.51.100.0,2,2,,{edge.ports[0].id}\n{edge.addresses[0]},3,3,nobody,\n", ["line 3", "line 4"]),
        (2, f"{good}{edge.addresses[0]},x,2,w,\n", ["line 3"]),
        (5, f"{good}{edge.addresses[0]},1,7,,{edge.ports[1].id}\n", ["collides"]),
    ):
        file.write_text(head + lines)
        ran = edge.run("import", str(file))
        assert ran.code == code, ran.err
        assert all(words in line for words, line in zip(wanted, ran.err.strip().splitlines(), strict=True)), ran.err
    assert edge.run("import", str(tmp_path / "none.csv")).code == 2
    file.write_bytes(b"\xff\xfe")
    assert edge.run("import", str(file)).code == 2
    assert edge.rows() == before


@pytest.mark.parametrize("form", ["table", "json", "yaml", "csv", "value"])
def test_a_list_has_every_form(edge: Edge, form: str) -> None:
    ran = edge.run("list", form=form)
    assert (ran.code, ran.err) == (0, "")
    assert edge.addresses[-1] in ran.out
    assert "wéb-01" in ran.out


def test_floating_ips_and_ports_are_listed(edge: Edge) -> None:
    fips = {f["floating_ip_address"]: f["use"] for f in edge.run("fips").report["floating_ips"]}
    assert fips == dict.fromkeys(edge.addresses, "free") | {edge.addresses[-1]: "forwards"}
    ports = {p["id"]: p["forwardings"] for p in edge.run("ports", "wéb-01").report["ports"]}
    assert ports.items() >= ({p.id: 0 for p in edge.ports} | {edge.ports[-1].id: 1}).items()


def address_gone(edge: Edge, port: Any) -> str:
    edge.lab.api.network.update_port(port, fixed_ips=[])
    return "forward-address-gone"


def switched_off(edge: Edge, port: Any) -> str:
    edge.lab.api.network.update_port(port, is_admin_state_up=False)
    edge.sql("UPDATE ports SET status='DOWN' WHERE id=%s", port.id)  # no agent in the lab takes it down
    return "forward-port-down"


def server_gone(edge: Edge, port: Any) -> str:
    edge.sql("UPDATE ports SET device_id='00000000-0000-4000-8000-000000000000' WHERE id=%s", port.id)
    return "forward-server-gone"


def unattached(edge: Edge, port: Any) -> str:
    body = {"port": {"device_id": "", "device_owner": "", "binding:host_id": ""}}
    assert edge.lab.api.network.put(f"/ports/{port.id}", json=body).status_code == 200
    return "forward-port-unattached"


def own_address(edge: Edge, port: Any) -> str:
    edge.lab.api.network.update_ip(edge.fips[2], port_id=port.id)
    return "forward-port-has-floating-ip"


BREAKS = (address_gone, switched_off, server_gone, unattached, own_address)


def test_an_audit_finds_what_is_wrong_and_its_commands_repair_it(edge: Edge) -> None:
    for number in range(5):
        edge.forward(0, number, 60000 + number, 22)
    edge.forward(1, 0, 80, 80)
    edge.forward(1, 0, 90, 90)
    assert edge.run("audit").code == 0
    try:
        expected = {60000 + n: break_it(edge, edge.ports[n]) for n, break_it in enumerate(BREAKS)}
        before = edge.rows()
        ran = edge.run("audit")
        found = {int(f["external_port"]): f for f in ran.report["findings"] if f["floating_ip_address"] == edge.addresses[0]}
        assert ran.code == 3
        assert {port: f["finding"] for port, f in found.items()} == expected
        assert edge.rows() == before
        for fault in ran.report["findings"]:
            repair(edge, fault["command"])
        assert edge.run("audit").report["findings"] == []
    finally:
        renew(edge)


def test_an_audit_finds_what_only_tables_can_have(edge: Edge) -> None:
    for made in ((0, 0, 100, 22), (0, 0, 200, 23), (1, 1, 300, 24), (1, 1, 400, 25), (2, 2, 500, 26)):
        edge.forward(*made)
    (router,) = {r for r in edge.routers().values() if r}
    edge.sql("UPDATE portforwardings SET external_port_end=250 WHERE external_port_start=100")
    edge.sql("UPDATE portforwardings SET internal_port_end=25 WHERE internal_port_start=24")
    edge.sql("UPDATE floatingips SET router_id=NULL WHERE id=%s", edge.fips[2].id)
    edge.sql("UPDATE floatingips SET router_id=%s WHERE id=%s", router, edge.fips[3].id)

    ran = edge.run("audit")

    assert ran.code == 3
    found = {f["floating_ip_address"]: f for f in ran.report["findings"]}
    assert [found[a]["finding"] for a in edge.addresses[:4]] == [
        "forward-collision", "forward-shadowed", "forward-without-router", "forward-router-kept",
    ]
    edge.sql("UPDATE floatingips SET router_id=%s WHERE id=%s", router, edge.fips[2].id)  # as the runbook says
    for address in edge.addresses[:2]:
        repair(edge, found[address]["command"])
    net = edge.lab.api.network  # what the last command says, with a port behind that router
    net.update_ip(edge.fips[3], port_id=edge.ports[0].id)
    net.update_ip(edge.fips[3], port_id=None)
    assert edge.run("audit").report["findings"] == []


def repair(edge: Edge, command: str) -> None:
    """Run what the audit says, opsfix's part with opsfix; what it says of others through their API."""
    for part in command.split(" && "):
        words = shlex.split(part)
        if words[0] == "opsfix":
            assert edge.lab.run(*words[1:]).code == 0, part
        else:
            assert words[:4] == ["openstack", "port", "set", "--enable"]
            edge.lab.api.network.update_port(words[4], is_admin_state_up=True)
            edge.sql("UPDATE ports SET status='ACTIVE' WHERE id=%s", words[4])


def renew(edge: Edge) -> None:
    """Fresh ports in place of those that were broken."""
    net = edge.lab.api.network
    net.update_ip(edge.fips[2], port_id=None)
    for number in range(len(BREAKS)):
        net.delete_port(edge.ports[number].id)
        edge.ports[number] = edge.port(f"edge-{number}")


def test_a_deleted_server_leaves_a_finding(edge: Edge) -> None:
    """nova keeps a port that it did not make, and neutron keeps its forwardings."""
    compute = edge.lab.api.compute
    port = edge.port("kept", device_id="", device_owner="", **{"binding:host_id": ""})
    server = compute.create_server(
        name="short-lived", image_id=edge.lab.api.image.find_image("cirros").id, networks=[{"port": port.id}],
        flavor_id=compute.find_flavor("m1.tiny").id, availability_zone="nova:gpu-01",
    )
    wait_until(lambda: compute.get_server(server.id).status == "ACTIVE", 60, "the server is active")
    assert edge.run("add", edge.addresses[0], "--to", "short-lived", "--port", "60122:22").code == 0
    compute.delete_server(server.id)
    wait_until(lambda: not list(compute.servers(name="short-lived")), 60, "the server is gone")
    ran = edge.run("audit")
    assert [f["finding"] for f in ran.report["findings"]] == ["forward-port-unattached"]
    repair(edge, ran.report["findings"][0]["command"])
    assert edge.there(0) == []


def test_five_hundred_are_imported_though_the_first_import_is_killed(edge: Edge, tmp_path: Path) -> None:
    file = tmp_path / "many.csv"
    wanted = [
        (edge.addresses[n % 4], "tcp", 1000 + n, 1000 + n, 10000 + n, edge.inside(n % 5)) for n in range(MANY)
    ]
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["floating_ip_address", "external_port", "internal_port", "internal_port_id"])
        writer.writerows([w[0], w[2], w[4], edge.ports[n % 5].id] for n, w in enumerate(wanted))
    before = [r for r in edge.rows() if r["floating_ip_address"] == edge.addresses[-1]]
    try:
        first = edge.lab.start("forward", "import", str(file), "-o", "json")
        wait_until(lambda: len(edge.rows()) > 40 or first.poll() is not None, 120, "some are made")
        first.kill()
        first.communicate(timeout=30)
        part = len(edge.rows()) - 1
        assert 0 < part < MANY

        ran = edge.run("import", str(file))

        assert ran.code == 0, ran.err[-2000:]
        assert ran.report["summary"]["repaired"] + ran.report["summary"]["healthy"] == MANY
        assert ran.report["summary"]["healthy"] >= part
        assert edge.there(0, 1, 2, 3) == sorted(wanted)
        again = edge.run("import", str(file), "--prune")
        assert (again.code, again.report["summary"]["healthy"]) == (0, MANY)
    finally:
        edge.wipe()
    assert edge.rows() == before
