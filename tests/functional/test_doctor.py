"""Doctor finds exactly what is broken, names what repairs it, and is content once that was done."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.functional.cloud import Lab, Ran, wait_until
from tests.functional.servers import Site
from tests.functional.test_placement import allocate, ghost, provider

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


def _duplicate(site: Site, volume: str) -> str:
    """nova maps the volume twice, with an attachment that cinder does not have."""
    columns = "created_at, device_name, delete_on_termination, volume_id, instance_uuid, deleted, source_type, destination_type"
    site.sql(
        "nova_cell1", f"INSERT INTO block_device_mapping ({columns}, uuid, attachment_id) SELECT {columns}, %s, %s"
        " FROM block_device_mapping WHERE volume_id = %s AND deleted = 0", str(uuid4()), str(uuid4()), volume,
    )
    return volume


def _forward_to_nobody(site: Site) -> str:
    """A forwarding whose port a server no longer has; its id."""
    net = site.api.network
    port = net.create_port(network_id=site.network, name="kept")
    address = net.create_ip(floating_network_id=net.find_network("public").id)
    made = net.create_floating_ip_port_forwarding(
        address, internal_port_id=port.id, internal_ip_address=port.fixed_ips[0]["ip_address"], protocol="tcp", internal_port=22,
        external_port=60122,
    )
    return str(made.id)


def _image_without_data(site: Site) -> str:
    return str(site.api.image.post("/images", json={"name": "aldrig", "disk_format": "raw", "container_format": "bare"}).json()["id"])


def _share_of_a_deleted(site: Site) -> str:
    """A server that was deleted, and a share that is mapped to it still."""
    [server] = site.servers("gpu-01", "hade-en-share")
    site.api.compute.delete_server(server)
    wait_until(lambda: site.api.compute.find_server(server) is None, 60, "deleted")
    site.sql(
        "nova_cell1", "INSERT INTO share_mapping (created_at, uuid, instance_uuid, share_id, status, tag, share_proto)"
        " VALUES (UTC_TIMESTAMP(), %s, %s, %s, 'inactive', 'tag', 'NFS')", str(uuid4()), server, str(uuid4()),
    )
    return server


def _break_all(site: Site) -> tuple[dict[str, str], dict[str, str]]:
    """One of each, net-02 dead among them: what every look finds, and what only tables tell."""
    lab, net = site.lab, site.api.network
    volume = lab.broken("detaching-nobody")["volumes"][0]
    failed = lab.broken("server-error")["servers"][0]
    [port] = net.ports(device_id=failed)
    site.sql("neutron", "UPDATE ml2_port_bindings SET vif_type = 'binding_failed' WHERE port_id = %s", port.id)
    [user] = site.servers("gpu-01", "har-två")
    shown = {
        volume: "volume-abandoned", failed: "state-error", port.id: "port-binding-failed",
        allocate(site, provider(site, "gpu-02")): "placement-allocation-orphaned",
        _duplicate(site, site.volume(user)): "mapping-duplicate", _forward_to_nobody(site): "forward-port-unattached",
        _image_without_data(site): "image-stuck", ghost(site): "placement-provider-left",
    }
    project = site.api.identity.find_project("demo").id
    stored = {_share_of_a_deleted(site): "instance-share-left", project: "quota-usage-wrong"}
    site.sql("cinder", "UPDATE quota_usages SET in_use = in_use + 5 WHERE project_id = %s AND resource = 'volumes'", project)
    lab.die("net-02")
    return shown | {a.id: "agent-dead" for a in net.agents(host="net-02")}, stored


def test_what_is_broken_is_found_and_its_commands_repair_it(site: Site, tmp_path: Path) -> None:
    lab = site.lab
    shown, stored = _break_all(site)

    figures = tmp_path / "doctor.prom"
    ran, seen = look(lab, "--metrics", str(figures), "--since-last")
    assert (ran.code, ran.report["schema"], ran.report["unchecked"]) == (3, "opsfix.doctor/1", [])
    assert seen == shown | stored, ran.out
    assert NO_BACKUP in " ".join(ran.report["notes"])
    assert 'opsfix_findings{finding="volume-abandoned",severity="warning"} 1' in figures.read_text().splitlines()
    _, blind = look(lab, OPSFIX_SERVICES_CONF_DIR=str(tmp_path))
    assert blind == shown, "the same without databases"

    for finding in ran.report["findings"]:
        words = shlex.split(finding["command"])
        assert words[0] == "opsfix"
        ended = lab.run(*words[1:], *(["--older-than", "0s"] if words[1] != "forward" else []))
        assert ended.code == 0, (finding, ended.out, ended.err)
    again, seen = look(lab, "--since-last")
    assert (again.code, seen, again.report["unchecked"]) == (0, {}, [])
    assert again.report["since"] is not None
    life(site, 0)


def life(site: Site, number: int) -> None:
    """A server and a volume made, attached, detached, resized, moved and deleted."""
    [server] = site.servers("gpu-01", f"busy-{number}")
    volume = site.volume(server)
    site.api.compute.delete_volume_attachment(server, volume)
    wait_until(lambda: site.api.block_storage.get_volume(volume).status == "available", 60, "detached")
    for move in (site.api.compute.migrate_server, _resize(site)):
        move(server)
        wait_until(lambda: site.shown(server).status == "VERIFY_RESIZE", 120, "moved")
        site.api.compute.confirm_server_resize(server)
        wait_until(lambda: site.shown(server).status == "ACTIVE", 60, "confirmed")
    site.api.block_storage.delete_volume(volume)
    site.api.compute.delete_server(server)
    wait_until(lambda: site.api.compute.find_server(server) is None, 60, "deleted")


def _resize(site: Site) -> Callable[[str], None]:
    flavor = site.api.compute.find_flavor("m1.small").id
    return lambda server: site.api.compute.resize_server(server, flavor)


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
