"""Servers that nova calls what they are not: reset, recovered, restored, or left alone, on a real nova."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.functional.cloud import Lab, Ran, wait_until

RUNS = ("active", None, 1)
RESET, STOP, START, REBOOT = "reset", "stop", "start", "hard-reboot"


def made(lab: Lab, state: str) -> str:
    """The server of a broken state."""
    return str(lab.broken(f"server-{state}")["servers"][0])


def act(lab: Lab, command: str, *arguments: str, **environ: str) -> Ran:
    """``opsfix instance COMMAND ... --older-than 0s -o json``"""
    return lab.run("instance", command, *arguments, "--older-than", "0s", "-o", "json", **environ)


def row(lab: Lab, server: str) -> dict[str, Any]:
    """What nova's cell has of a server."""
    return lab.rows("nova", "SELECT * FROM instances WHERE uuid=%s", server)[0]


def state(lab: Lab, server: str) -> tuple[Any, ...]:
    found = row(lab, server)
    return found["vm_state"], found["task_state"], found["power_state"]


def guest(lab: Lab, server: str, host: str = "gpu-02") -> Path:
    """The guest itself, which the fake hypervisor keeps in a file."""
    return Path(lab.environ["LAB_DIR"]) / "state" / host / "guests" / f"{server}.json"


def asked(lab: Lab, server: str) -> list[str]:
    """What nova was asked to do with the server since it was built."""
    actions = lab.rows("nova", "SELECT action FROM instance_actions WHERE instance_uuid=%s ORDER BY id", server)
    return [a["action"] for a in actions]


def tried(item: dict[str, Any]) -> list[str]:
    """The calls that were sent, by their verb."""
    return [s["what"].split()[1] for s in item["steps"] if s["result"] == "done"]


@pytest.mark.parametrize(("broken", "rungs"), [
    ("error", [RESET]),
    ("error-off", [RESET, STOP, START]),
    ("error-lost", [RESET, STOP, REBOOT]),
])
def test_recovered_at_each_rung(cloud: Lab, broken: str, rungs: list[str]) -> None:
    server = made(cloud, broken)
    before = asked(cloud, server)

    ran = act(cloud, "recover", server)

    item = ran.item(server)
    assert (ran.code, item["outcome"], item["finding"], item["by"]) == (0, "repaired", "guest-down", "api"), item
    assert tried(item) == rungs
    assert state(cloud, server) == RUNS
    assert json.loads(guest(cloud, server).read_text())["state"] == 1
    sent = {RESET: "resetState", STOP: "stop", START: "start", REBOOT: "reboot"}
    assert asked(cloud, server)[len(before):] == [sent[r] for r in rungs]
    again = act(cloud, "recover", server)
    assert (again.code, again.item(server)["outcome"], again.item(server)["steps"]) == (0, "healthy", [])


def test_one_that_never_recovers_fails_with_what_nova_says(cloud: Lab) -> None:
    server = made(cloud, "error-off")
    for call in ("power_on", "reboot"):
        cloud._lab("fail", "gpu-02", call)

    ran = act(cloud, "recover", server)

    item = ran.item(server)
    assert (ran.code, item["outcome"]) == (4, "failed")
    assert tried(item) == [RESET, STOP, START, REBOOT]
    fault = cloud.api.compute.get_server(server).fault["message"]
    assert fault in item["reason"]
    assert state(cloud, server)[:2] == ("error", None)


def test_a_reset_says_what_active_means_for_a_guest_that_is_off(cloud: Lab) -> None:
    server = made(cloud, "error-off")

    ran = act(cloud, "reset-state", server)

    assert (ran.code, ran.item(server)["outcome"]) == (0, "repaired")
    assert "nova calls it stopped within ten minutes" in ran.item(server)["reason"]
    assert state(cloud, server) == ("active", None, 4)
    assert act(cloud, "recover", server).item(server)["outcome"] == "repaired"
    assert state(cloud, server) == RUNS


def test_a_server_that_never_had_a_host_is_never_called_active(cloud: Lab) -> None:
    server = made(cloud, "error-never")
    before = cloud.api.compute.get_server(server).to_dict()

    for command in ("reset-state", "recover"):
        ran = act(cloud, command, server)
        assert (ran.code, ran.item(server)["outcome"]) == (5, "refused")
        assert "'active' would be a lie" in ran.item(server)["reason"]
    assert act(cloud, "reset-state", server, "--state", "error").item(server)["outcome"] == "healthy"

    assert cloud.api.compute.get_server(server).to_dict() == before


def test_an_unfinished_resize_is_left_to_its_owner(cloud: Lab) -> None:
    server = made(cloud, "error-resized")
    before = row(cloud, server)

    for command in ("reset-state", "recover"):
        ran = act(cloud, command, server)
        assert (ran.code, ran.item(server)["outcome"]) == (5, "refused")
        assert "(finished)" in ran.item(server)["reason"]

    assert row(cloud, server) == before


def test_a_task_is_left_to_its_worker_until_it_is_old(cloud: Lab) -> None:
    server = made(cloud, "rebooting-hung")
    before = row(cloud, server)
    young = cloud.run("instance", "reset-state", server, "--older-than", "1h", "-o", "json")
    assert (young.code, young.item(server)["outcome"]) == (5, "refused")
    assert "may still be at work" in young.item(server)["reason"]
    assert server not in cloud.run("instance", "recover", "--all", "--older-than", "1h", "-o", "json").out
    dry = act(cloud, "recover", "--all", "--dry-run")
    assert dry.item(server)["outcome"] == "needs_commit"
    assert row(cloud, server) == before

    ran = act(cloud, "recover", server)

    assert (ran.code, ran.item(server)["outcome"], tried(ran.item(server))) == (0, "repaired", [RESET])
    assert state(cloud, server) == RUNS


def test_a_host_that_died_in_a_reboot(cloud: Lab) -> None:
    server = made(cloud, "rebooting-dead")
    before = row(cloud, server)
    for command in ("reset-state", "recover"):
        ran = act(cloud, command, server)
        assert (ran.code, ran.item(server)["outcome"]) == (5, "refused")
        assert f"openstack server evacuate {server}" in ran.item(server)["reason"]
    assert row(cloud, server) == before

    ran = act(cloud, "reset-state", server, "--state", "error")
    assert (ran.code, ran.item(server)["outcome"]) == (0, "repaired")
    assert state(cloud, server)[:2] == ("error", None)

    cloud.revive_all()
    ran = act(cloud, "recover", server)
    assert (ran.code, ran.item(server)["outcome"]) == (0, "repaired"), ran.out
    assert state(cloud, server) == RUNS


def test_a_build_that_hangs_can_only_be_called_failed(cloud: Lab) -> None:
    server = made(cloud, "building-hung")
    ran = act(cloud, "reset-state", server)
    assert (ran.code, ran.item(server)["finding"]) == (5, "state-building")
    assert "--state error" in ran.item(server)["reason"]
    assert act(cloud, "recover", server).code == 5

    ran = act(cloud, "reset-state", server, "--state", "error")

    assert (ran.code, ran.item(server)["outcome"]) == (0, "repaired")
    assert state(cloud, server)[:2] == ("error", None)


def test_the_task_of_a_suspended_server_ends_by_sql(cloud: Lab) -> None:
    server = made(cloud, "resuming")
    before = row(cloud, server)
    others = cloud.rows("nova", "SELECT * FROM instances WHERE uuid <> %s", server)
    assert act(cloud, "recover", server).code == 5
    forgets = act(cloud, "reset-state", server, "--state", "error", "--commit")
    assert (forgets.code, row(cloud, server)) == (5, before)
    shown = act(cloud, "reset-state", server)
    assert (shown.code, shown.item(server)["outcome"], row(cloud, server)) == (3, "needs_commit", before)

    ran = act(cloud, "reset-state", server, "--commit")

    assert (ran.code, ran.item(server)["outcome"], ran.item(server)["by"]) == (0, "repaired", "sql")
    after = row(cloud, server)
    assert after == before | {"task_state": None, "updated_at": after["updated_at"]}
    assert cloud.rows("nova", "SELECT * FROM instances WHERE uuid <> %s", server) == others
    cloud.api.compute.resume_server(server)
    wait_until(lambda: state(cloud, server)[:2] == ("active", None), 60, "it can be resumed again")


def test_soft_deleted_servers_are_listed_and_restored(cloud: Lab) -> None:
    server = made(cloud, "soft-deleted")
    name = row(cloud, server)["display_name"]
    listed = cloud.run("instance", "restore", "-o", "json")
    assert (listed.code, [s["id"] for s in listed.report["servers"]]) == (0, [server])
    dry = act(cloud, "restore", name, "--dry-run")
    assert (dry.code, dry.item(server)["outcome"], state(cloud, server)[0]) == (3, "needs_commit", "soft-delete")

    ran = act(cloud, "restore", name)

    assert (ran.code, ran.item(server)["outcome"]) == (0, "repaired"), ran.out
    assert state(cloud, server) == RUNS
    assert row(cloud, server)["deleted_at"] is None
    assert cloud.run("instance", "restore", "-o", "json").report["servers"] == []
    again = act(cloud, "restore", server, "00000000-0000-4000-8000-000000000000")
    assert (again.code, again.item(server)["outcome"]) == (4, "healthy")


def test_an_interrupt_leaves_no_server_off(cloud: Lab) -> None:
    server = made(cloud, "error-off")
    cloud._lab("hold", "gpu-02", "power_off")
    run = cloud.start("instance", "recover", server, "--older-than", "0s", "-o", "json")
    held = Path(cloud.environ["LAB_DIR"]) / "control" / "held" / "gpu-02.power_off"
    wait_until(held.exists, 60, "the stop is under way")

    run.send_signal(signal.SIGINT)
    assert run.stderr is not None
    assert "interrupted" in run.stderr.readline()
    cloud._lab("release", "gpu-02", "power_off")
    out, _ = run.communicate(timeout=120)

    assert run.returncode == 130
    assert json.loads(out)["exit_code"] == 130
    wait_until(lambda: state(cloud, server) == RUNS, 60, "the start that belongs to the stop was sent")


def test_addresses_are_those_of_neutron_and_of_the_caches(cloud: Lab) -> None:
    server = cloud.healthy["servers"][0]
    port = next(cloud.api.network.ports(device_id=server))
    external = cloud.api.network.find_network("public")
    floating = cloud.api.network.create_ip(floating_network_id=external.id, port_id=port.id)
    try:
        shown = cloud.run("instance", "ips", "-o", "json")
        [found] = [s for s in shown.report["servers"] if s["id"] == server]
        owner = row(cloud, server)
        assert (found["name"], found["project_id"], found["host"], found["complete"]) == (
            owner["display_name"], owner["project_id"], owner["host"], True
        )
        assert found["ports"] == [{
            "id": port.id, "network_id": port.network_id, "fixed": [f["ip_address"] for f in port.fixed_ips],
            "floating": [floating.floating_ip_address],
        }]
        everyone = {s.id for s in cloud.api.compute.servers(all_projects=True)}
        assert {s["id"] for s in shown.report["servers"]} == everyone

        def remembered() -> bool:
            cached = cloud.run("instance", "ips", "--from-db", "-o", "json").report["servers"]
            return {s["id"] for s in cached} == everyone and [s for s in cached if s["id"] == server] == [found]

        wait_until(remembered, 60, "nova's cache has the floating address")
        for form in ("table", "yaml", "csv", "value"):
            text = cloud.run("instance", "ips", "--host", found["host"], "--project", owner["project_id"], "-o", form).out
            assert floating.floating_ip_address in text
            assert server in text
        assert cloud.run("instance", "ips", "--from-db", "--project", "none", "-o", "json").report["servers"] == []
    finally:
        cloud.api.network.delete_ip(floating.id)
