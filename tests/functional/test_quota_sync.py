"""Counts of cinder that are not true, on the real tables: told, refused while cinder is at work, and set right."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from tests.functional.cloud import Lab, Ran, wait_until


def _sync(cloud: Lab, *arguments: str, **environ: str) -> Ran:
    return cloud.run("volume", "quota-sync", *arguments, "--older-than", "0s", "-o", "json", **environ)


def _counts(cloud: Lab, project: str) -> dict[str, list[tuple[int, int]]]:
    """Resource -> stored and reserved, of each live row."""
    found: dict[str, list[tuple[int, int]]] = {}
    for row in cloud.rows("cinder", "SELECT * FROM quota_usages WHERE project_id=%s AND deleted=0", project):
        found.setdefault(row["resource"], []).append((row["in_use"], row["reserved"]))
    return found


def _things(cloud: Lab, project: str, table: str, size: str) -> tuple[int, int]:
    statement = f"SELECT COUNT(*) AS n, COALESCE(SUM({size}), 0) AS s FROM {table} WHERE project_id=%s AND deleted=0"
    [row] = cloud.rows("cinder", statement, project)
    return int(row["n"]), int(row["s"])


def _of_type(cloud: Lab, project: str, name: str) -> int:
    statement = (
        "SELECT COUNT(*) AS n FROM volumes v JOIN volume_types t ON t.id=v.volume_type_id"
        " WHERE v.project_id=%s AND v.deleted=0 AND t.name=%s"
    )
    [row] = cloud.rows("cinder", statement, project, name)
    return int(row["n"])


def _cinder_manage(cloud: Lab, project: str) -> str:
    """What cinder's own tool says of a project."""
    done = subprocess.run(
        [Path(cloud.environ["LAB_VENV"]) / "bin" / "cinder-manage", "--config-file",
         Path(cloud.environ["OPSFIX_SERVICES_CONF_DIR"]) / "cinder" / "cinder.conf", "quota", "check", "--project-id", project],
        env=os.environ | {"HOME": "/"}, capture_output=True, text=True, timeout=120, check=False,
    )
    assert "Processing quota usage" in done.stdout, done.stderr
    return done.stdout


def _check_told(cloud: Lab, demo: str, admin: str, volumes: tuple[int, int], snapshots: tuple[int, int]) -> None:
    """Stored against true, and nothing is changed."""
    before: dict[str, Any] = cloud.checksums()
    shown = _sync(cloud, "--all", "--dry-run")
    assert shown.code == 3, shown.out
    assert {i["id"]: (i["finding"], i["outcome"], i["name"]) for i in shown.report["items"]} == {
        demo: ("quota-reservation-expired", "needs_commit", "demo"), admin: ("quota-usage-wrong", "needs_commit", "admin"),
    }
    told = shown.item(demo)["facts"]["usages.counts"]
    assert told["volumes"]["true"] == volumes[0] == told["volumes"]["stored"] - 5
    assert (told["gigabytes"]["stored"], told["gigabytes"]["true"]) == (-3, volumes[1] + snapshots[1])
    assert f"volumes {volumes[0] + 5} is {volumes[0]}" in shown.item(demo)["reason"]
    assert "volumes_weg 4 is 0" in shown.item(admin)["reason"]
    assert cloud.checksums() == before


def _check_refused_at_work(cloud: Lab, project: str, volume_id: str) -> None:
    """While a volume of the project grows; afterwards it is one GiB larger."""
    cloud.hold("cinder-02", "extend_volume")
    cloud.api.block_storage.extend_volume(volume_id, 2)
    wait_until(lambda: cloud.end_of(volume_id)["status"] == "extending", 30, "the volume grows")
    busy = _sync(cloud, "--project", project, "--commit")
    assert (busy.code, busy.item(project)["outcome"]) == (5, "refused")
    assert "live reservations" in busy.item(project)["reason"]
    cloud.release("cinder-02")
    wait_until(lambda: cloud.end_of(volume_id)["status"] == "available", 30, "the volume has grown")


def test_every_count_ends_as_it_must(cloud: Lab, tmp_path: Path) -> None:
    cloud.reset()  # deaths in other tests may have left wrong counts of their own
    made = cloud.broken("quotas-apart")
    demo, admin = made["projects"]["demo"], made["projects"]["admin"]
    volumes, snapshots = _things(cloud, demo, "volumes", "size"), _things(cloud, demo, "snapshots", "volume_size")
    _check_told(cloud, demo, admin, volumes, snapshots)
    _check_refused_at_work(cloud, demo, made["volumes"][0])

    plan = str(tmp_path / "plan.json")
    assert _sync(cloud, "--project", admin, "--dry-run", "--plan-out", plan).code == 3
    done = [cloud.run("apply", plan, "--commit", "-o", "json"), _sync(cloud, "--project", "demo", "--commit")]
    assert [ran.code for ran in done] == [0, 0], done
    assert [[(i["id"], i["outcome"], i["by"]) for i in ran.report["items"]] for ran in done] == [
        [(admin, "repaired", "sql")], [(demo, "repaired", "sql")],
    ]
    counts = _counts(cloud, demo)
    assert all(len(rows) == 1 and rows[0][1] == 0 for rows in counts.values())
    kind = made["hosts"][1]
    assert counts["volumes"] == [(volumes[0], 0)]
    assert counts[f"volumes_{kind}"] == [(_of_type(cloud, demo, kind), 0)]
    assert counts["gigabytes"] == [(volumes[1] + 1 + snapshots[1], 0)]
    assert counts["snapshots"] == counts[f"snapshots_{kind}"] == [(snapshots[0], 0)]
    assert _counts(cloud, admin)["volumes_weg"] == [(0, 0)]
    assert not {"invalid", "duplicated"} & set(_cinder_manage(cloud, demo).split())

    new = cloud.api.block_storage.create_volume(size=1, volume_type="cinder-02")
    try:
        wait_until(lambda: cloud.end_of(new.id)["status"] == "available", 30, "a new volume")
        assert _sync(cloud, "--all", "--dry-run").report["items"] == []
    finally:
        cloud.api.block_storage.delete_volume(new.id)


def test_without_cinders_database_it_says_so(cloud: Lab, tmp_path: Path) -> None:
    ran = _sync(cloud, "--all", OPSFIX_SERVICES_CONF_DIR=str(tmp_path))
    assert ran.code == 7
    assert "cinder's counts are in its database only" in ran.err
    assert len(ran.err.splitlines()) == 1
