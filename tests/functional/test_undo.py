"""A plan carried out, told and put back, on real services and their tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.functional.cloud import Lab
from tests.functional.states import FREE


def _mappings(lab: Lab, volume_id: str) -> list[dict[str, Any]]:
    return lab.rows("nova", "SELECT * FROM block_device_mapping WHERE volume_id = %s ORDER BY id", volume_id)


def test_a_plan_is_carried_out_and_its_run_put_back(cloud: Lab, tmp_path: Path) -> None:
    volume_id = cloud.broken("attaching-dead")["volumes"][0]
    mappings, end = _mappings(cloud, volume_id), cloud.end_of(volume_id)
    plan = tmp_path / "plan.json"

    planned = cloud.unstick(volume_id, "--fenced", "gpu-02", "--dry-run", "--plan-out", str(plan))
    assert (planned.code, [i["id"] for i in json.loads(plan.read_text())["items"]]) == (3, [volume_id])
    shown = cloud.run("apply", str(plan), "-o", "json")
    assert (shown.code, shown.item(volume_id)["outcome"]) == (3, "needs_commit")
    assert (_mappings(cloud, volume_id), cloud.end_of(volume_id)) == (mappings, end)
    applied = cloud.run("apply", str(plan), "--commit", "-o", "json")
    first = applied.item(volume_id)
    assert [s["result"] for s in first["steps"] if s["kind"] == "sql"] == ["done"], first["reason"]
    assert (applied.code, "was not in it" in first["reason"]) == (3, True)  # cinder's side came to light after nova's
    rest = cloud.unstick(volume_id, "--fenced", "gpu-02", "--commit")
    assert rest.code == 0
    assert {k: cloud.end_of(volume_id)[k] for k in FREE} == FREE

    run = applied.report["run"]
    told = json.loads(cloud.run("history", run, "-o", "json").out)
    [sql] = [s for i in told["items"] for s in i["steps"] if s["kind"] == "sql"]
    assert (sql["result"], sql["undoable"], sql["changes"][0]["table"]) == ("committed", True, "block_device_mapping")
    assert [r["run"] for r in json.loads(cloud.run("history", "-o", "json").out)["runs"]][:2] == [rest.report["run"], run]

    changed = _mappings(cloud, volume_id)
    dry = cloud.run("undo", run, "-o", "json")
    assert (dry.code, _mappings(cloud, volume_id)) == (3, changed)
    for undone in (rest.report["run"], run):
        ran = cloud.run("undo", undone, "--commit", "-o", "json")
        assert ran.code == 0, ran.out
    assert _mappings(cloud, volume_id) == mappings
    again = cloud.run("undo", run, "--commit", "-o", "json")
    assert (again.code, again.item(volume_id)["outcome"]) == (5, "refused")
