"""``instance purge`` on the lab: each way in which a server can refuse to go, and its end in every service."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.cloud import Lab, Ran, bystanders, wait_until
from tests.functional.servers import PURGED, Site

UNICODE = "sérver '服务器' \"; -- Ω"
MANY = 200


def purge(site: Site, *arguments: str, **environ: str) -> Ran:
    """Run ``opsfix instance purge ... --older-than 0s -o json``."""
    return site.lab.run("instance", "purge", *arguments, "--older-than", "0s", "-o", "json", **environ)


@pytest.fixture(scope="module")
def site(lab: Lab) -> Iterator[Site]:
    """The lab with everything alive; in the end the bystanders are as they were."""
    lab.revive_all()
    before = bystanders(lab)
    server = lab.rows("nova", "SELECT * FROM instances WHERE uuid = %s", lab.healthy["servers"][0])
    yield Site(lab)
    lab.revive_all()
    assert bystanders(lab) == before
    assert lab.rows("nova", "SELECT * FROM instances WHERE uuid = %s", lab.healthy["servers"][0]) == server


@pytest.fixture(scope="module")
def alive(site: Site) -> dict[str, str]:
    """Servers on gpu-01, by the name of the test that takes each."""
    names = ("locked", "stuck", "endless", "unmapped", "lost", "lost-volume", "forgotten", "api-only", "kept")
    return dict(zip((*names, "unicode"), site.servers("gpu-01", *names, UNICODE), strict=True))


def test_a_server_goes_with_all_that_nova_made_for_it_and_nothing_else(site: Site, alive: dict[str, str]) -> None:
    server = alive["unicode"]
    doomed, kept, port = site.volume(server, doomed=True), site.volume(server), site.port(server)

    plan = purge(site, UNICODE, "--dry-run")
    assert plan.code == 3
    assert doomed in plan.item(server)["reason"]
    assert kept not in plan.item(server)["reason"]
    assert site.shown(server).status == "ACTIVE"

    ran = purge(site, UNICODE)
    assert (ran.code, ran.item(server)["outcome"], ran.item(server)["by"]) == (0, "repaired", "api")
    assert site.end_of(server) == PURGED
    assert server not in site.guests("gpu-01")
    wait_until(lambda: site.api.block_storage.find_volume(doomed) is None, 30, "the doomed volume is gone")
    assert site.api.block_storage.get_volume(kept).status == "available"
    assert site.api.network.get_port(port).device_id == ""

    again = purge(site, server)
    assert (again.code, again.item(server)["outcome"]) == (0, "healthy")


def test_rows_go_only_when_asked_for_and_are_then_all_gone(site: Site, alive: dict[str, str]) -> None:
    server = alive["kept"]
    shown = purge(site, server, "--rows")
    assert (shown.code, shown.item(server)["outcome"]) == (3, "needs_commit")
    assert site.rows_of(server).keys() >= {"instances", "instance_mappings", "instance_actions"}
    done = purge(site, server, "--rows", "--commit")
    assert (done.code, done.item(server)["by"]) == (0, "sql")
    assert site.rows_of(server) == {}
    assert purge(site, server, "--rows", "--commit").code == 4


def test_a_locked_server_stays_until_it_may_be_unlocked(site: Site, alive: dict[str, str]) -> None:
    server = alive["locked"]
    site.api.compute.lock_server(server)
    ran = purge(site, server)
    assert ran.code == 5
    assert "--unlock" in ran.item(server)["reason"]
    assert site.shown(server).status == "ACTIVE"
    assert purge(site, server, "--unlock").code == 0
    assert site.end_of(server) == PURGED


def test_a_deletion_that_hangs_is_taken_up_again(site: Site, alive: dict[str, str]) -> None:
    """The message got lost: nova-compute lives, and nova-api ignores whoever asks again."""
    server = alive["stuck"]
    site.sql("nova_cell1", "UPDATE instances SET task_state = 'deleting', updated_at = UTC_TIMESTAMP() WHERE uuid = %s", server)
    young = site.lab.run("instance", "purge", server, "-o", "json")
    assert (young.code, young.item(server)["outcome"]) == (5, "refused")
    assert purge(site, server).code == 0
    assert site.end_of(server) == PURGED
    assert server not in site.guests("gpu-01")


def test_a_server_that_nova_must_not_terminate(site: Site, alive: dict[str, str]) -> None:
    server = alive["endless"]
    doomed = site.volume(server, doomed=True)
    site.sql("nova_cell1", "UPDATE instances SET disable_terminate = 1 WHERE uuid = %s", server)
    shown = purge(site, server)
    assert (shown.code, shown.item(server)["finding"]) == (3, "instance-terminate-disabled")
    assert doomed in shown.item(server)["reason"]
    assert site.shown(server).status == "ACTIVE"
    done = purge(site, server, "--commit")
    assert (done.code, done.item(server)["by"]) == (0, "sql")
    assert site.end_of(server) == PURGED
    assert server not in site.guests("gpu-01")


def test_a_mapping_without_a_cell_is_mended_so_that_nova_ends_the_guest(site: Site, alive: dict[str, str]) -> None:
    server = alive["unmapped"]
    doomed, kept = site.volume(server, doomed=True), site.volume(server)
    site.sql("nova_api", "UPDATE instance_mappings SET cell_id = NULL WHERE instance_uuid = %s", server)
    assert not site.end_of(server)["api"]
    shown = purge(site, server)
    assert (shown.code, shown.item(server)["finding"]) == (3, "instance-hidden")
    assert doomed in shown.item(server)["reason"]
    assert kept not in shown.item(server)["reason"]
    assert purge(site, server, "--commit").code == 0
    assert site.end_of(server) == PURGED
    assert server not in site.guests("gpu-01")


def test_a_server_without_a_mapping_goes_by_sql_where_it_shares_nothing(site: Site, alive: dict[str, str]) -> None:
    server, written = alive["lost"], alive["lost-volume"]
    site.volume(written)
    for lost in (server, written):
        site.sql("nova_api", "DELETE FROM instance_mappings WHERE instance_uuid = %s", lost)
    before = site.lab.rows("nova", "SELECT * FROM instances WHERE uuid = %s", written)
    ran = purge(site, server, written, "--commit")
    assert ran.code == 5
    assert (ran.item(server)["outcome"], ran.item(server)["by"]) == ("repaired", "sql")
    assert site.end_of(server) == PURGED | {"queued": False}
    assert ran.item(written)["outcome"] == "refused"
    assert "map_instances" in ran.item(written)["reason"]
    assert site.lab.rows("nova", "SELECT * FROM instances WHERE uuid = %s", written) == before


def test_what_is_left_of_a_forgotten_server_goes_through_its_owners(site: Site, alive: dict[str, str]) -> None:
    server = alive["forgotten"]
    volume, address, port = site.volume(server), site.floating_ip(server), site.port(server)  # the address is on nova's port
    site.forget(server)
    shown = purge(site, server)
    assert shown.code == 3  # all but nova's own mapping went by API
    assert shown.item(server)["finding"] == "instance-leftovers"
    assert purge(site, server, "--commit").code == 0
    assert site.end_of(server) == PURGED
    assert site.api.block_storage.get_volume(volume).status == "available"
    assert site.api.network.get_port(port).device_id == ""
    assert site.api.network.get_ip(address).port_id is None


def test_without_databases_the_api_does_what_it_can(site: Site, alive: dict[str, str], tmp_path: Path) -> None:
    server = alive["api-only"]
    ran = purge(site, server, OPSFIX_SERVICES_CONF_DIR=str(tmp_path))
    assert ran.code == 0, ran.report
    assert site.end_of(server) == PURGED


def test_a_build_and_a_resize_under_way_are_refused(site: Site) -> None:
    building = site.lab.broken("server-building-hung", "gpu-03")["servers"][0]
    try:
        ran = purge(site, building)
        assert ran.code == 5
        assert "being built" in ran.item(building)["reason"]
    finally:
        site.lab._lab("release", "gpu-03")
    wait_until(lambda: site.shown(building).status == "ACTIVE", 60, "it is built")
    site.api.compute.resize_server(building, site.api.compute.find_flavor("m1.small").id)
    wait_until(lambda: site.shown(building).status == "VERIFY_RESIZE", 60, "it waits")
    ran = purge(site, building)
    assert ran.code == 5
    assert "resize" in ran.item(building)["reason"]
    site.api.compute.confirm_server_resize(building)
    wait_until(lambda: site.shown(building).status == "ACTIVE", 60, "it is confirmed")
    assert purge(site, building).code == 0
    assert site.end_of(building) == PURGED


def test_a_server_that_no_host_took_and_a_request_that_no_cell_took(site: Site) -> None:
    buried = site.lab.broken("server-error-never")["servers"][0]
    request = site.request()
    assert purge(site, buried).code == 0
    assert site.end_of(buried) == PURGED
    assert purge(site, request).code == 3
    assert purge(site, request, "--commit").code == 0
    assert site.rows_of(request) == {}


@pytest.mark.parametrize(("text", "says"), [
    ("gpu-0\n", "gpu-0"), ("GPU-01\n", "GPU-01"), ("# nothing\n\n", "names none"), ("gpu-01\nnowhere # gone\n", "nowhere"),
])
def test_a_list_that_names_no_host_stops_the_run(site: Site, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "hosts").write_text(text)
    ran = purge(site, "--on-hosts", str(tmp_path / "hosts"))
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert len(ran.err.strip().splitlines()) == 1


def test_who_is_not_there_fails_and_who_is_ambiguous_is_listed(site: Site, tmp_path: Path) -> None:
    unknown = "5e4e4000-0000-4000-8000-00000000dead"
    assert purge(site, unknown, "no-such-name").code == 4
    assert purge(site, "--on-hosts", str(tmp_path / "missing")).code == 2
    twins = site.servers("gpu-03", "tvilling", "tvilling", ports=False)
    ran = purge(site, "tvilling")
    assert ran.code == 2
    assert all(twin in ran.err for twin in twins)
    assert purge(site, *twins).code == 0


@pytest.fixture(scope="module")
def dead(site: Site) -> dict[str, Any]:
    """gpu-03 with 200 servers, one of which has a volume; then its power is gone."""
    first, written = site.servers("gpu-03", "första", "med-volym")
    volume = site.volume(written)
    copies = site.multiplied(first, MANY - 2)
    site.lab.die("gpu-03")
    return {"servers": [first, written, *copies], "written": written, "volume": volume}


def test_a_dead_host_that_may_still_write_is_refused(site: Site, dead: dict[str, Any]) -> None:
    before = site.end_of(dead["written"])
    ran = purge(site, dead["written"])
    assert ran.code == 5
    assert "--fenced gpu-03" in ran.item(dead["written"])["reason"]
    assert site.end_of(dead["written"]) == before


def test_two_hundred_servers_of_a_dead_host_go_though_the_first_run_is_killed(
    site: Site, dead: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "hosts").write_text("# power is gone\n\ngpu-03   # rack 7\n")
    listed = ["--on-hosts", str(tmp_path / "hosts"), "--fenced", "gpu-03"]
    limited = purge(site, *listed)
    assert (limited.code, limited.report["summary"]["refused"]) == (5, MANY)

    first = site.lab.start("instance", "purge", *listed, "--limit", "0", "-o", "json")
    wait_until(lambda: _live(site) <= MANY - 10, 60, "the first run is at work")
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    assert _live(site) > 0

    ran = purge(site, *listed, "--limit", "0")
    assert ran.code == 0, {i["reason"] for i in ran.report["items"] if i["outcome"] != "repaired"}
    assert _live(site) == 0
    some = [*dead["servers"][:5], dead["written"]]
    assert all(site.end_of(server) == PURGED for server in some)
    owned = [p.device_id for p in site.api.network.ports() if p.device_id in set(dead["servers"])]
    assert owned == []
    [provider] = site.api.placement.get("/resource_providers?name=gpu-03").json()["resource_providers"]
    held = site.api.placement.get(f"/resource_providers/{provider['uuid']}/allocations").json()["allocations"]
    assert held == {}
    mapped = site.sql("nova_api", "SELECT COUNT(*) AS n FROM instance_mappings WHERE queued_for_delete = 0 AND instance_uuid IN %s",
                      dead["servers"])
    assert mapped[0]["n"] == 0
    assert site.api.block_storage.get_volume(dead["volume"]).status == "available"
    assert purge(site, *listed, "--limit", "0").code == 0


def _live(site: Site) -> int:
    return int(site.sql("nova_cell1", "SELECT COUNT(*) AS n FROM instances WHERE host = 'gpu-03' AND deleted = 0")[0]["n"])


def test_the_rows_of_a_host_that_is_only_silent_stay(site: Site, dead: dict[str, Any]) -> None:
    server = dead["servers"][0]
    ran = purge(site, server, "--rows", "--commit")
    assert ran.code == 5
    assert "--fenced" in ran.item(server)["reason"]
    assert site.rows_of(server)["instances"] == 1
    assert purge(site, server, "--rows", "--commit", "--fenced", "gpu-03").code == 0
    assert site.rows_of(server) == {}
