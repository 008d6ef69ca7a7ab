"""What placement counts for nobody goes, what only nova can mend is reported, and whatever may be in flight is left alone."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pymysql
import pytest

from tests.functional.cloud import Lab, Ran, wait_until
from tests.functional.servers import Site

#: Every row of placement, for the ends.
ROWS = {
    "allocations": "SELECT p.name, a.consumer_id, a.resource_class_id, a.used FROM allocations a"
    " JOIN resource_providers p ON p.id = a.resource_provider_id",
    "consumers": "SELECT uuid FROM consumers",
    "providers": "SELECT uuid, name FROM resource_providers",
}


@pytest.fixture
def site(lab: Lab) -> Iterator[Site]:
    """A cloud whose placement may be broken; the next test gets it as it was."""
    yield Site(lab)
    lab.reset()


def rows(site: Site) -> dict[str, set[tuple[Any, ...]]]:
    return {name: {tuple(r.values()) for r in site.sql("placement", statement)} for name, statement in ROWS.items()}


def provider(site: Site, name: str) -> str:
    [found] = site.api.placement.get(f"/resource_providers?name={name}").json()["resource_providers"]
    return str(found["uuid"])


def allocate(site: Site, of: str, kind: str = "INSTANCE") -> str:
    """An allocation of a consumer that nova does not have."""
    consumer = str(uuid.uuid4())
    body = {
        "allocations": {of: {"resources": {"VCPU": 1, "MEMORY_MB": 64}}}, "project_id": "p", "user_id": "u",
        "consumer_generation": None, "consumer_type": kind,
    }
    answer = site.api.placement.put(f"/allocations/{consumer}", json=body, microversion="1.38")
    assert answer.status_code == 204, answer.text
    return consumer


def ghost(site: Site) -> str:
    """A provider as nova makes it, without a node, and something that nobody has of it."""
    made, placement = str(uuid.uuid4()), site.api.placement
    for path, body in (
        ("", {"uuid": made, "name": "gpu-99"}),
        (f"/{made}/inventories", {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 8}, "MEMORY_MB": {"total": 512}}}),
        (f"/{made}/traits", {"resource_provider_generation": 1, "traits": ["COMPUTE_NODE"]}),
    ):
        send = placement.put if path else placement.post
        answer = send(f"/resource_providers{path}", json=body, microversion="1.38")
        assert answer.status_code < 300, answer.text
    return made


def unrecorded(site: Site, of: str) -> str:
    """What placement counts for a consumer of which it has no record."""
    consumer = str(uuid.uuid4())
    site.sql("placement", "INSERT INTO allocations (resource_provider_id, consumer_id, resource_class_id, used)"
             " SELECT id, %s, 0, 1 FROM resource_providers WHERE uuid = %s", consumer, of)
    return consumer


def empty(site: Site, minutes: int) -> str:
    """A record without allocations, so many minutes old."""
    consumer = str(uuid.uuid4())
    site.sql("placement", "INSERT INTO consumers (uuid, project_id, user_id, generation, created_at)"
             " SELECT %s, MIN(project_id), MIN(user_id), 3, UTC_TIMESTAMP() - INTERVAL %s MINUTE FROM consumers", consumer, minutes)
    return consumer


def in_flight(site: Site) -> str:
    """A build that its host holds, a live migration that its host holds, and a resize that waits to be confirmed; the id
    of a server that rests."""
    site.lab.broken("server-building-hung", "gpu-03")
    mover, resized, rests = site.servers("gpu-01", "flyttar", "väntar", "vilar", ports=False)
    site.api.compute.resize_server(resized, site.api.compute.find_flavor("m1.small").id)
    site.lab.hold("gpu-01", "live_migration")
    answer = site.api.compute.post(
        f"/servers/{mover}/action", json={"os-migrateLive": {"host": "gpu-02", "block_migration": "auto", "force": False}},
        microversion="2.30",
    )
    assert answer.status_code == 202, answer.text
    wait_until(lambda: site.shown(resized).status == "VERIFY_RESIZE", 60, "the resize waits")
    wait_until(lambda: "running" in statuses(site, mover), 60, "the live migration is held")
    held = {r["consumer_id"] for r in site.sql("placement", "SELECT consumer_id FROM allocations")}
    moving = {r["uuid"] for r in site.sql("nova_cell1", "SELECT uuid FROM migrations WHERE status IN ('running', 'finished')")}
    assert len(moving & held) == 2, "each migration holds its source"
    return rests


def statuses(site: Site, server: str) -> set[str]:
    return {str(r["status"]) for r in site.sql("nova_cell1", "SELECT status FROM migrations WHERE instance_uuid = %s", server)}


def audit(lab: Lab, **environ: str) -> tuple[Ran, dict[str, str]]:
    ran = lab.run("placement", "audit", "-o", "json", **environ)
    return ran, {f["id"]: f["finding"].removeprefix("placement-") for f in ran.report["findings"]}


def clean(lab: Lab, *arguments: str, **environ: str) -> Ran:
    return lab.run("placement", "clean", *arguments, "--older-than", "0s", "-o", "json", **environ)


def test_only_what_is_nobodys_goes(site: Site, tmp_path: Path) -> None:
    lab, gpu = site.lab, provider(site, "gpu-02")
    poor = in_flight(site)
    foreign, young = allocate(site, gpu, "CONTAINER"), empty(site, 50)
    site.api.placement.delete(f"/allocations/{poor}")
    kept = rows(site)
    orphan, bare = allocate(site, gpu), empty(site, 70)
    unseen, left = unrecorded(site, gpu), ghost(site)
    last = allocate(site, left, "MIGRATION")
    site.sql("placement", "UPDATE resource_providers SET name = 'gpu-0x' WHERE uuid = %s", provider(site, "gpu-01"))
    renamed = provider(site, "gpu-0x")
    found = {
        orphan: "allocation-orphaned", last: "allocation-orphaned", bare: "consumer-empty", unseen: "allocation-unrecorded",
        left: "provider-left", poor: "allocation-missing", renamed: "provider-renamed",
    }

    ran, seen = audit(lab)
    assert (ran.code, ran.report["schema"], ran.report["unchecked"]) == (3, "opsfix.placement-audit/1", [])
    assert seen == found, ran.out
    commands = {f["id"]: f["command"] for f in ran.report["findings"]}
    assert commands[poor] == f"nova-manage placement heal_allocations --instance {poor} --dry-run"
    assert commands[bare] == f"opsfix placement clean {bare} --commit"
    _, seen = audit(lab, OPSFIX_SERVICES_CONF_DIR=str(tmp_path))  # no database: the rest is as well known
    assert seen == {i: f for i, f in found.items() if i not in (bare, unseen, renamed)} | {
        gpu: "allocation-unrecorded", renamed: "provider-renamed"
    }, seen

    before = rows(site)
    named = clean(lab, foreign, young, str(uuid.uuid4()), "gpu-02")
    assert [named.item(i)["outcome"] for i in (foreign, young, gpu)] == ["healthy"] * 3
    assert "type CONTAINER" in named.item(foreign)["reason"]
    assert named.code == 4
    assert rows(site) == before

    ran = clean(lab, "--all", "--commit")
    ends = {last: ("repaired", "api")}  # with its provider, before its own turn, or in its own turn
    ends |= {i["id"]: (i["outcome"], i["by"]) for i in ran.report["items"]}
    assert ends == dict.fromkeys((orphan, last, left), ("repaired", "api")) | dict.fromkeys((bare, unseen), ("repaired", "sql")) | (
        dict.fromkeys((poor, renamed), ("refused", None))
    ), ran.out
    assert ran.code == 5
    site.sql("placement", "UPDATE resource_providers SET name = 'gpu-01' WHERE uuid = %s", renamed)
    assert rows(site) == kept


def test_nothing_is_known_while_a_cell_is_down(site: Site, tmp_path: Path) -> None:
    orphan = allocate(site, provider(site, "gpu-02"))
    before = rows(site)
    user = f"{site.lab.urls()['nova'].username}@127.0.0.1"
    try:
        site.sql("nova_cell1", f"REVOKE ALL PRIVILEGES ON nova_cell1.* FROM {user}")
        for session in site.sql("nova_cell1", "SELECT id FROM information_schema.PROCESSLIST WHERE db = 'nova_cell1' AND user <> 'root'"):
            with suppress(pymysql.err.OperationalError):  # gone already
                site.sql("nova_cell1", f"KILL {session['id']}")
        wait_until(lambda: None in {s.state for s in site.api.compute.services()}, 60, "nova does not reach the cell")
        nowhere = {"OPSFIX_SERVICES_CONF_DIR": str(tmp_path)}
        assert clean(site.lab, "--all", "--commit").code == 7
        assert site.lab.run("placement", "audit", **nowhere).code == 7
        doctor = site.lab.run("doctor", "-o", "json", **nowhere)
        assert (doctor.code, doctor.report["findings"]) == (6, [])
        assert {u["check"] for u in doctor.report["unchecked"]} >= {"placement", "ports", "servers"}
        ran = clean(site.lab, orphan, **nowhere)
        assert (ran.code, ran.item(orphan)["outcome"]) == (6, "unknown")
        assert "cell" in ran.item(orphan)["reason"]
    finally:
        site.sql("nova_cell1", f"GRANT ALL PRIVILEGES ON nova_cell1.* TO {user}")
    wait_until(lambda: not site.lab.down(), 60, "every host is heard of again")
    assert rows(site) == before


def test_ports_are_bound_unbound_or_deleted(site: Site) -> None:
    gone, alive = site.servers("gpu-02", "borta", "kvar")
    [made] = site.api.network.ports(device_id=gone)
    own = site.port(gone)
    [failed] = site.api.network.ports(device_id=alive)
    bystanders = {p.id: p.to_dict() for p in site.api.network.ports() if p.id not in (made.id, own, failed.id)}
    site.forget(gone)
    site.sql("neutron", "UPDATE ml2_port_bindings SET vif_type = 'binding_failed' WHERE port_id = %s", failed.id)

    ran = site.lab.run("port", "audit", "-o", "json")
    assert (ran.code, {f["id"]: f["finding"] for f in ran.report["findings"]}) == (
        3, {made.id: "port-orphaned", own: "port-orphaned", failed.id: "port-binding-failed"}
    ), ran.out
    ran = site.lab.run("port", "repair", "--all", "--older-than", "0s", "-o", "json")
    assert (ran.code, {i["outcome"] for i in ran.report["items"]}) == (0, {"repaired"}), ran.out
    assert site.api.network.find_port(made.id) is None
    kept = site.api.network.get_port(own)
    assert (kept.device_id, kept.device_owner, kept.binding_host_id) == ("", "", "")
    assert site.api.network.get_port(failed.id).binding_vif_type == "ovs"
    assert {i: site.api.network.get_port(i).to_dict() for i in bystanders} == bystanders
    assert site.lab.run("port", "audit").code == 0
