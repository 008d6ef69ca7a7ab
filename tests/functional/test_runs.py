"""What a whole run promises: nothing changes in a dry run, nothing starts where something is wrong, nothing is lost."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from opsfix.journal import decode
from tests.functional.cloud import Lab, Ran, wait_until

HOSTILE = ["'; DROP TABLE volumes; --", '"quoted" \\ back`tick', "--commit", "日本語 ✓", "a/../b%2f?limit=0", "$(reboot) {0} %s"]


def _volume(lab: Lab, name: str = "plain", **made: object) -> str:
    volume = lab.api.block_storage.create_volume(name=name, size=1, volume_type="cinder-01", **made)
    wait_until(lambda: lab.api.block_storage.get_volume(volume.id).status == "available", 60, f"{name} available")
    return str(volume.id)


def _stuck(lab: Lab, name: str = "plain") -> str:
    volume_id = _volume(lab, name)
    lab.api.block_storage.reset_volume_status(volume_id, "detaching", "detached")
    return volume_id


def _events(lab: Lab, run: str) -> list[dict[str, object]]:
    text = (lab.state_dir / "runs" / run / "journal.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_a_dry_run_changes_no_table(cloud: Lab) -> None:
    states = [cloud.broken(s) for s in ("detaching", "reserved", "in-use-nobody", "available-mapped", "error_deleting")]
    before = cloud.checksums()

    ran = cloud.unstick("--all", "--dry-run", "--limit", "0")

    assert cloud.checksums() == before
    found = {i["id"] for i in ran.report["items"] if i["outcome"] == "needs_commit"}
    assert found >= {s["volumes"][0] for s in states}
    assert ran.code in (3, 5)


def test_all_repairs_every_project_and_leaves_the_young_alone(cloud: Lab) -> None:
    cloud.reset()
    states = [cloud.broken(s) for s in ("reserved", "in-use-nobody", "detaching-nobody")]

    young = cloud.run("volume", "unstick", "--all", "-o", "json")
    assert (young.code, young.report["items"]) == (0, [])
    ran = cloud.unstick("--all")

    assert ran.code == 0
    assert {i["id"] for i in ran.report["items"]} == {s["volumes"][0] for s in states}
    assert {cloud.end_of(s["volumes"][0])["status"] for s in states} == {"available"}
    assert cloud.unstick("--all").report["items"] == []


def test_without_databases_the_api_alone_repairs(cloud: Lab, tmp_path: Path) -> None:
    states = [cloud.broken(s) for s in ("reserved", "in-use-nobody", "available-mapped")]

    ran = cloud.unstick("--all", "--limit", "0", OPSFIX_SERVICES_CONF_DIR=str(tmp_path))

    assert {ran.item(s["volumes"][0])["outcome"] for s in states} == {"repaired"}, ran.out
    assert {cloud.end_of(s["volumes"][0])["status"] for s in states} == {"available"}


def test_a_limit_refuses_the_whole_run(cloud: Lab) -> None:
    stuck = [_stuck(cloud, f"limit-{n}") for n in range(3)]

    ran = cloud.unstick(*stuck, "--limit", "2")

    assert ran.code == 5
    assert "3 findings" in ran.err
    assert {cloud.end_of(v)["status"] for v in stuck} == {"detaching"}
    assert cloud.unstick(*stuck, "--limit", "3").code == 0


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_data(cloud: Lab, name: str) -> None:
    volume_id = _stuck(cloud, name)

    ran = cloud.run("volume", "unstick", "--older-than", "0s", "-o", "json", "--", name)

    assert ran.item(volume_id)["name"] == name
    assert cloud.end_of(volume_id)["status"] == "available"
    cloud.api.block_storage.delete_volume(volume_id)


def test_an_ambiguous_name_lists_its_candidates(cloud: Lab) -> None:
    twins = [_stuck(cloud, "twin"), _stuck(cloud, "twin")]

    ran = cloud.unstick("twin")

    assert ran.code == 2
    assert all(v in ran.err for v in twins)
    assert {cloud.end_of(v)["status"] for v in twins} == {"detaching"}


def test_what_does_not_exist_has_failed(cloud: Lab) -> None:
    ran = cloud.unstick("no such volume", "00000000-0000-4000-8000-000000000000", "../servers", "🐧")

    assert ran.code == 4
    assert [i["outcome"] for i in ran.report["items"]] == ["failed"] * 4
    assert all("not found" in i["reason"] or "was found" in i["reason"] for i in ran.report["items"])


def _refused_before_anything(lab: Lab, ran: Ran, code: int, volume_id: str) -> None:
    assert ran.code == code
    assert len(ran.err.strip().splitlines()) == 1
    assert ran.out == ""
    assert lab.end_of(volume_id)["status"] == "detaching"


@pytest.mark.parametrize("change", ["wrong password", "unreachable", "no such database"])
def test_a_database_that_cannot_be_used_stops_the_run(cloud: Lab, change: str) -> None:
    volume_id = _stuck(cloud)
    url = cloud.urls()["cinder"]
    url = {
        "wrong password": url.set(password="canary-secret"),
        "unreachable": url.set(port=1),
        "no such database": url.set(database="cinder_gone"),
    }[change]

    ran = cloud.unstick(volume_id, OPSFIX_DATABASE_CINDER=url.render_as_string(hide_password=False))

    _refused_before_anything(cloud, ran, 7, volume_id)
    assert "canary-secret" not in ran.err
    assert str(url.password) not in ran.err


def test_a_stale_copy_of_the_database_stops_the_run(cloud: Lab) -> None:
    volume_id = _stuck(cloud)
    url = cloud.urls()["cinder"]

    ran = cloud.unstick(volume_id, OPSFIX_DATABASE_CINDER=cloud.stale_copy(url))

    _refused_before_anything(cloud, ran, 5, volume_id)
    assert "not the one behind the API" in ran.err


def test_a_refused_login_stops_the_run(cloud: Lab) -> None:
    volume_id = _stuck(cloud)
    _refused_before_anything(cloud, cloud.unstick(volume_id, OS_PASSWORD="wrong"), 7, volume_id)


def test_a_user_who_is_no_administrator_stops_the_run(cloud: Lab) -> None:
    volume_id = _stuck(cloud)
    ran = cloud.unstick(volume_id, OS_USERNAME="demo", OS_PROJECT_NAME="demo")
    _refused_before_anything(cloud, ran, 7, volume_id)


@pytest.mark.parametrize("service", ["nova", "cinder"])
def test_a_dead_api_stops_the_run(cloud: Lab, service: str) -> None:
    volume_id = _stuck(cloud)
    cloud.kill(service)
    try:
        ran = cloud.unstick(volume_id)
    finally:
        cloud.revive_all()
    _refused_before_anything(cloud, ran, 7, volume_id)


def test_a_second_run_finds_the_cloud_locked_whatever_its_host(cloud: Lab, tmp_path: Path) -> None:
    volume_id = cloud.broken("detaching-hung")["volumes"][0]
    died = _runs(cloud.state_dir)
    first = cloud.start("volume", "unstick", volume_id, "--older-than", "0s", "-o", "json")
    try:
        wait_until(lambda: _runs(cloud.state_dir) != died, 30, "first run at work")
        wait_until(lambda: cloud.unstick("--all", OPSFIX_STATE_DIR=str(tmp_path)).code == 8, 30, "locked")
        assert cloud.unstick("--all", "--dry-run").code != 8
    finally:
        first.send_signal(signal.SIGINT)
        out, _ = first.communicate(timeout=120)
    assert first.returncode == 130
    assert json.loads(out)["exit_code"] == 130


def _runs(state_dir: Path) -> list[Path]:
    return sorted(p for p in (state_dir / "runs").glob("*") if not (p / "report.json").exists())


@pytest.mark.parametrize("moment", ["api-before", "sql-before", "sql-after", "sql-committed"])
def test_a_killed_commit_is_untouched_or_complete(cloud: Lab, tmp_path: Path, moment: str) -> None:
    made = cloud.broken("detaching-dead")
    volume_id = made["volumes"][0]
    before = cloud.end_of(volume_id)
    state = {"OPSFIX_STATE_DIR": str(tmp_path)}
    run = cloud.start("volume", "unstick", volume_id, "--older-than", "0s", "--fenced", "gpu-02", "--commit", **state)
    journals = tmp_path / "runs"

    def seen() -> bool:
        return any(f'"{moment}"' in p.read_text(encoding="utf-8") for p in journals.glob("*/journal.jsonl"))

    wait_until(lambda: seen() or run.poll() is not None, 60, moment)
    run.kill()
    run.communicate(timeout=30)

    end = cloud.end_of(volume_id)
    assert end["mapped"] in (before["mapped"], [])
    assert end["status"] != "available" or not end["mapped"]
    again = cloud.unstick(volume_id, "--fenced", "gpu-02", "--commit", **state)
    assert again.code == 0, again.out
    assert cloud.end_of(volume_id) == {"status": "available", "attach_status": "detached", "attachments": [], "mapped": []}


def test_the_journal_holds_what_undo_needs(cloud: Lab) -> None:
    volume_id = cloud.broken("detaching-dead")["volumes"][0]
    before = cloud.rows("nova", "SELECT * FROM block_device_mapping WHERE volume_id=%s AND deleted=0", volume_id)

    ran = cloud.unstick(volume_id, "--fenced", "gpu-02", "--commit")

    run = cloud.state_dir / "runs" / ran.report["run"]
    assert {oct(p.stat().st_mode & 0o777) for p in run.iterdir()} == {"0o600"}
    assert oct(run.stat().st_mode & 0o777) == "0o700"
    events = _events(cloud, ran.report["run"])
    kinds = [e["event"] for e in events]
    assert kinds.index("sql-before") < kinds.index("sql-after") < kinds.index("sql-committed")
    (image,) = next(e for e in events if e["event"] == "sql-before")["images"]
    assert decode(image["row"]) == before[0]
    after = next(e for e in events if e["event"] == "sql-after")["images"][0]["row"]
    assert after["deleted"] == before[0]["id"]
    assert json.loads((run / "report.json").read_text()) == ran.report


def test_nothing_secret_is_shown(cloud: Lab, tmp_path: Path) -> None:
    volume_id = cloud.broken("available-attached")["volumes"][0]
    log = tmp_path / "log"

    ran = cloud.run("--debug", "--log-file", str(log), "volume", "unstick", volume_id, "--older-than", "0s", "-o", "json")

    assert ran.code == 0
    shown = ran.out + ran.err + log.read_text()
    secrets = {str(u.password) for u in cloud.urls().values()} - {"lab"}
    assert not [s for s in secrets if s in shown]
    assert "auth_password" not in shown
    assert "driver_volume_type" not in shown


def test_ages_count_from_the_last_change(cloud: Lab) -> None:
    volume_id = _stuck(cloud)
    ran = cloud.run("volume", "unstick", volume_id, "--older-than", "1h", "-o", "json")
    assert (ran.code, ran.item(volume_id)["outcome"]) == (5, "refused")
    assert "--older-than" in ran.item(volume_id)["reason"]
    assert cloud.unstick(volume_id).code == 0


@pytest.mark.parametrize("form", ["table", "json", "yaml", "csv", "value"])
def test_every_form_shows_the_volume(cloud: Lab, form: str) -> None:
    volume_id = _stuck(cloud)
    ran = cloud.run("volume", "unstick", volume_id, "--older-than", "0s", "--dry-run", "-o", form)
    assert ran.code == 3
    assert volume_id in ran.out
    assert ran.err == ""
