"""One of each disagreement between nova's mappings and cinder's attachments, made by real calls: found, told, repaired, or
refused, and nothing beside it changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.functional.cloud import Lab, Ran, wait_until
from tests.functional.states import FREE, IN_USE

UNMAPPED = {"status": "deleted", "attachments": [], "mapped": []}


def _reconcile(cloud: Lab, *arguments: str) -> Ran:
    return cloud.run("volume", "reconcile", *arguments, "--older-than", "0s", "-o", "json")


def _told(ran: Ran, cases: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Case -> finding and outcome."""
    names = {volume_id: name for name, volume_id in cases.items()}
    return {names[i["id"]]: (i["finding"], i["outcome"]) for i in ran.report["items"]}


def _end(cloud: Lab, volume_id: str, expected: dict[str, Any]) -> dict[str, Any]:
    end = cloud.end_of(volume_id)
    return {key: end[key] for key in expected}


def _guest_has(cloud: Lab, server: str, volume_id: str) -> bool:
    """Whether the guest itself has the disk open, by the hypervisor's own file."""
    [guest] = (Path(cloud.environ["LAB_DIR"]) / "state").glob(f"*/guests/{server}.json")
    return volume_id in json.dumps(json.loads(guest.read_text()))


def test_each_disagreement_ends_as_it_must(cloud: Lab) -> None:
    made = cloud.broken("mappings-apart")
    cases, (server, other, booted) = made["cases"], made["servers"]
    healthy = cloud.end_of(cases["healthy"])
    assert _guest_has(cloud, server, cases["unheld"])
    before = cloud.checksums()

    shown = _reconcile(cloud, "--all", "--dry-run")
    assert shown.code == 5
    assert _told(shown, cases) == {
        "unheld": ("mapping-unheld", "refused"), "misdirected": ("mapping-misdirected", "refused"),
        "elsewhere": ("mapping-elsewhere", "refused"), "gone": ("mapping-volume-gone", "refused"),
        "boot": ("mapping-boot-disk", "refused"), "twice": ("mapping-duplicate", "needs_commit"),
    }
    assert cloud.checksums() == before
    for endangered in (server, booted):
        assert f"do not reboot server {endangered}" in shown.err
    assert f"do not reboot server {other}" not in shown.err
    assert "do not reboot" in shown.item(cases["unheld"])["reason"]
    for name in ("unheld", "misdirected", "elsewhere"):
        assert "--detach" in shown.item(cases[name])["reason"]
    for name, guest in (("unheld", server), ("misdirected", server), ("boot", booted)):
        assert f"nova-manage volume_attachment refresh {guest} {cases[name]} CONNECTOR" in shown.item(cases[name])["reason"]

    by_api = _reconcile(cloud, cases["unheld"], cases["misdirected"], cases["elsewhere"], "--detach")
    assert by_api.code == 0, by_api.out
    assert _end(cloud, cases["unheld"], FREE) == FREE
    assert _end(cloud, cases["misdirected"], FREE) == FREE
    assert _end(cloud, cases["elsewhere"], IN_USE) == IN_USE
    assert not any(_guest_has(cloud, server, cases[name]) for name in ("unheld", "misdirected", "elsewhere"))
    assert _guest_has(cloud, other, cases["elsewhere"])

    by_sql = _reconcile(cloud, cases["twice"], "--commit")
    assert (by_sql.code, by_sql.item(cases["twice"])["by"]) == (0, "sql")
    assert _end(cloud, cases["twice"], IN_USE) == IN_USE

    cloud.api.compute.stop_server(server)
    wait_until(lambda: cloud.api.compute.get_server(server).status == "SHUTOFF", 60, "the server stopped")
    waiting = _reconcile(cloud, cases["gone"])
    assert (waiting.code, waiting.item(cases["gone"])["outcome"]) == (3, "needs_commit")
    gone = _reconcile(cloud, cases["gone"], "--commit")
    assert (gone.code, gone.item(cases["gone"])["by"]) == (0, "sql")
    assert _end(cloud, cases["gone"], UNMAPPED) == UNMAPPED

    assert _told(_reconcile(cloud, "--all", "--commit", "--detach"), cases) == {"boot": ("mapping-boot-disk", "refused")}
    assert cloud.end_of(cases["healthy"]) == healthy
    cloud.api.compute.start_server(server)
    wait_until(lambda: cloud.api.compute.get_server(server).status == "ACTIVE", 60, "the server started")
    assert {m.volume_id for m in cloud.api.compute.volume_attachments(server)} == {cases["healthy"], cases["twice"]}


def test_the_api_alone_finds_the_same(cloud: Lab, tmp_path: Path) -> None:
    volume_id = cloud.broken("in-use-mapped")["volumes"][0]
    ran = cloud.run(
        "volume", "reconcile", volume_id, "--detach", "--older-than", "0s", "-o", "json", OPSFIX_SERVICES_CONF_DIR=str(tmp_path)
    )
    assert (ran.code, ran.item(volume_id)["finding"]) == (0, "mapping-unheld"), ran.out
    assert _end(cloud, volume_id, FREE) == FREE


@pytest.mark.parametrize("arguments", [["--all", "x"], [], [""]])
def test_bad_input_is_one_clear_line(cloud: Lab, arguments: list[str]) -> None:
    ran = _reconcile(cloud, *arguments)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
