"""What past runs did: listed, told, undone, planned and pruned, over a fake cloud."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opsfix import plans
from opsfix.journal import Journal
from tests.fakes.cloud import FakeCloud
from tests.unit.commands import Shell, shell


@pytest.fixture
def opsfix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cloud: FakeCloud) -> Shell:
    """The command line over the fake cloud."""
    return shell(monkeypatch, tmp_path / "state", cloud)


def unstick(opsfix: Shell, *more: str) -> Any:
    return opsfix.json("volume", "unstick", "--all", "--older-than", "0s", *more)


def died(opsfix: Shell, *events: dict[str, Any]) -> str:
    """A run that ended in the middle."""
    journal = Journal(opsfix.state, "volume unstick", "commit", [], opsfix.cloud.identity)
    for event in events:
        journal.record(event.pop("event"), item="v1", **event)
    os.close(journal._file)
    return journal.run


SENT = {"event": "api-before", "what": "cinder: reset volume v1 to available/detached", "inverse": None}
WRITTEN = {
    "event": "sql-before", "file": "volume_abandoned.cinder", "service": "cinder", "cell": None, "database": "mysql://x",
    "statements": [], "images": [],
}


def test_runs_are_listed_newest_first_with_their_outcomes(opsfix: Shell) -> None:
    volume = opsfix.cloud.add_volume(status="attaching")
    first, second = unstick(opsfix, "--dry-run"), unstick(opsfix)
    runs = opsfix.json("history")["runs"]
    assert {r["run"]: (r["mode"], r["state"], r["exit_code"]) for r in runs} == {
        first["run"]: ("dry-run", "complete", 3), second["run"]: ("apply", "complete", 0),
    }
    assert runs == sorted(runs, key=lambda r: r["started"], reverse=True)
    told = opsfix.json("history", second["run"])
    assert (told["schema"], [i["id"] for i in told["items"]]) == ("opsfix.history-run/1", [volume])
    assert [s["result"] for s in told["items"][0]["steps"]] == ["done"]
    assert volume in opsfix("history", second["run"]).out


def test_filters(opsfix: Shell) -> None:
    opsfix.cloud.add_volume(status="attaching")
    planned, done = unstick(opsfix, "--dry-run")["run"], unstick(opsfix)["run"]
    listed = lambda *words: {r["run"] for r in opsfix.json("history", *words)["runs"]}  # noqa: E731
    assert listed("--failed") == {planned}
    assert listed("--command", "volume") == listed("--command", "volume unstick") == listed("--since", "1h") == {planned, done}
    assert listed("--command", "vol") == listed("--since", "0s") == set()


@pytest.mark.parametrize(("word", "code"), [("20200101T000000Z-0000", 4), ("../../etc", 4), ("", 4), ("nope", 4)])
def test_an_unknown_run_is_not_found(opsfix: Shell, word: str, code: int) -> None:
    assert opsfix("history", word).code == opsfix("undo", "--", word).code == code


def test_a_part_that_several_runs_have_is_ambiguous(opsfix: Shell) -> None:
    runs = [died(opsfix), died(opsfix)]
    shown = opsfix("history", runs[0][:8])
    assert shown.code == 2
    assert all(run in shown.err for run in runs)
    assert opsfix("history", runs[0][-7:]).code == 0


def test_a_torn_last_line_is_left_out_and_other_damage_is_told(opsfix: Shell) -> None:
    run = died(opsfix, dict(SENT))
    path = opsfix.state / "runs" / run / "journal.jsonl"
    path.write_text(path.read_text() + '{"time": "x", "ev')
    assert opsfix.json("history", run)["items"][0]["steps"][0]["result"] == "not known"
    path.write_text(path.read_text() + "\n")
    shown = opsfix("history", run)
    assert (shown.code, "damaged in line 2" in shown.err) == (4, True)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"started": 5}', '{"started": "x"}', "\x00"])
def test_a_damaged_run_is_listed_as_such_and_kept(opsfix: Shell, text: str) -> None:
    run = died(opsfix)
    (opsfix.state / "runs" / run / "run.json").write_text(text)
    assert [(r["run"], r["state"]) for r in opsfix.json("history")["runs"]] == [(run, "damaged")]
    assert opsfix("history", run).code == opsfix("undo", run).code == 4
    assert [r["result"] for r in opsfix.json("history", "prune", "--older-than", "0s")["runs"]] == ["kept"]


def test_a_run_that_died_tells_what_is_not_certain(opsfix: Shell) -> None:
    run = died(opsfix, dict(SENT))
    [item] = opsfix.json("history", run)["items"]
    assert (item["outcome"], item["certain"]) == (None, False)
    assert item["reason"] == f"the run died: what is not certain: {SENT['what']}"
    assert opsfix.json("history")["runs"][0]["state"] == "died"


def test_a_transaction_whose_commit_was_never_sent_wrote_nothing(opsfix: Shell) -> None:
    run = died(opsfix, dict(WRITTEN))
    [item] = opsfix.json("history", run)["items"]
    assert (item["certain"], item["steps"][0]["result"]) == (True, "nothing was written")


def test_a_run_at_work_is_told_from_one_that_died(opsfix: Shell) -> None:
    journal = Journal(opsfix.state, "volume unstick", "apply", [], opsfix.cloud.identity)
    assert opsfix.json("history")["runs"][0]["state"] == "at work"
    shown = opsfix("undo", journal.run)
    assert (shown.code, "still at work" in shown.err) == (5, True)
    journal.close({"exit_code": 0, "summary": {}, "items": []})
    assert opsfix.json("history")["runs"][0]["state"] == "complete"


def test_an_undo_by_api_and_its_own_undo(opsfix: Shell) -> None:
    volume = opsfix.cloud.add_volume(status="attaching")
    run = unstick(opsfix)["run"]
    status = lambda: opsfix.cloud.volume(volume).status  # type: ignore[union-attr] # noqa: E731
    assert status() == "available"
    shown = opsfix.json("undo", run)
    assert (status(), shown["mode"], shown["exit_code"], shown["items"][0]["outcome"]) == ("available", "dry-run", 3, "needs_commit")
    undo = opsfix.json("undo", run, "--commit")
    assert (status(), undo["exit_code"], undo["items"][0]["outcome"]) == ("attaching", 0, "repaired")
    again = opsfix.json("undo", run, "--commit")
    assert (again["exit_code"], again["items"][0]["outcome"]) == (5, "refused")
    assert undo["run"] in again["items"][0]["reason"]
    assert opsfix.json("undo", undo["run"], "--commit")["exit_code"] == 0
    assert status() == "available"
    assert opsfix.json("undo", run, "--commit")["exit_code"] == 0
    assert status() == "attaching"


def test_an_undo_refuses_what_has_moved_on(opsfix: Shell) -> None:
    volume = opsfix.cloud.add_volume(status="attaching")
    run = unstick(opsfix)["run"]
    opsfix.cloud.reset_volume(volume, "error", "detached")
    shown = opsfix.json("undo", run, "--commit")
    assert (shown["exit_code"], shown["items"][0]["outcome"]) == (5, "refused")
    assert "left available, now error" in shown["items"][0]["reason"]


def test_what_cannot_be_undone_is_said_beforehand(opsfix: Shell) -> None:
    run = died(opsfix, dict(SENT), {"event": "api-after", "what": SENT["what"], "result": "done", "detail": "", "made": {}})
    shown = opsfix.json("undo", run)
    assert (shown["exit_code"], shown["items"][0]["steps"][0]["detail"]) == (5, "cannot be undone")


def test_an_undo_of_chosen_items_leaves_the_others(opsfix: Shell) -> None:
    volumes = [opsfix.cloud.add_volume(status="attaching") for _ in range(2)]
    run = unstick(opsfix)["run"]
    assert opsfix.json("undo", run, "--item", volumes[0], "--commit")["exit_code"] == 0
    assert [opsfix.cloud.volume(v).status for v in volumes] == ["attaching", "available"]  # type: ignore[union-attr]
    assert opsfix("undo", run, "--item", "other").code == 4


def test_a_run_of_another_cloud_is_not_undone_here(opsfix: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    opsfix.cloud.add_volume(status="attaching")
    run = unstick(opsfix)["run"]
    monkeypatch.setattr(FakeCloud, "identity", "elsewhere")
    shown = opsfix("undo", run, "--commit")
    assert (shown.code, "another cloud" in shown.err) == (5, True)


def test_dry_run_and_commit_exclude_each_other(opsfix: Shell) -> None:
    assert opsfix("undo", "latest", "--dry-run", "--commit").code == 2


def test_prune_keeps_what_is_in_doubt(opsfix: Shell) -> None:
    opsfix.cloud.add_volume(status="attaching")
    dead, done = died(opsfix, dict(SENT)), unstick(opsfix)["run"]
    results = lambda *words: {r["run"]: r["result"] for r in opsfix.json("history", "prune", *words)["runs"]}  # noqa: E731
    assert results("--older-than", "1h") == {}
    assert results("--older-than", "0s", "--dry-run") == {dead: "kept", done: "would be deleted"}
    assert sorted(opsfix.runs) == sorted([dead, done])
    assert results("--older-than", "0s") == {dead: "kept", done: "deleted"}
    assert opsfix.runs == [dead]


@pytest.fixture
def plan(opsfix: Shell, tmp_path: Path) -> Path:
    """A plan for one volume that is attaching."""
    opsfix.cloud.add_volume(status="attaching")
    path = tmp_path / "plan.json"
    assert unstick(opsfix, "--dry-run", "--plan-out", str(path))["exit_code"] == 3
    return path


def test_a_plan_is_carried_out_on_its_items_only(opsfix: Shell, plan: Path) -> None:
    other = opsfix.cloud.add_volume(status="attaching")
    document = json.loads(plan.read_text())
    assert opsfix("apply", str(plan), "--dry-run").code == 3
    done = opsfix.json("apply", str(plan))
    assert [(i["id"], i["outcome"]) for i in done["items"]] == [(document["items"][0]["id"], "repaired")]
    assert opsfix.cloud.volume(other).status == "attaching"  # type: ignore[union-attr]
    assert opsfix.json("history", done["run"])["plan"] == document["hash"]
    again = opsfix.json("apply", str(plan))
    assert (again["exit_code"], again["items"][0]["outcome"]) == (0, "healthy")


def test_what_is_no_longer_as_planned_is_refused(opsfix: Shell, plan: Path) -> None:
    [item] = json.loads(plan.read_text())["items"]
    opsfix.cloud.reset_volume(item["id"], "creating", "detached")
    shown = opsfix.json("apply", str(plan))
    assert (shown["exit_code"], shown["items"][0]["outcome"]) == (5, "refused")
    assert opsfix.cloud.volume(item["id"]).status == "creating"  # type: ignore[union-attr]


def resealed(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def do(plan: dict[str, Any]) -> None:
        change(plan)
        plan["hash"] = plans.seal(plan)

    return do


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda p: p["items"].append(dict(p["items"][0], id="another")), 5, "was changed after it was made"),
        (lambda p: p["parameters"].update(fenced=["gpu-01"]), 5, "was changed after it was made"),
        (resealed(lambda p: p.update(made="2020-01-01T00:00:00Z")), 5, "not within --plan-max-age"),
        (resealed(lambda p: p.update(made="2999-01-01T00:00:00Z")), 5, "not within --plan-max-age"),
        (resealed(lambda p: p.update(cloud="elsewhere")), 5, "another cloud"),
        (resealed(lambda p: p.update(heads={"cinder": ["abc"]})), 5, "other releases"),
        (resealed(lambda p: p.update(opsfix="0.0.0")), 5, "was made by opsfix 0.0.0"),
        (resealed(lambda p: p["sql"].update({"volume_abandoned.cinder": "0"})), 5, "sql/volume_abandoned.cinder.sql is not what it was"),
        (resealed(lambda p: p.update(command="config show")), 2, "which makes none"),
        (resealed(lambda p: p.update(command="nothing")), 2, "which makes none"),
        (resealed(lambda p: p["parameters"].update(strange=1)), 2, "has parameters that"),
        (resealed(lambda p: p.update(items=[])), 2, "nothing to do"),
        (resealed(lambda p: p.update(items=[1])), 2, "is no plan"),
        (resealed(lambda p: p.update(made="yesterday")), 2, "is no plan"),
        (lambda p: p.pop("hash"), 2, "is no plan"),
    ],
)
def test_a_plan_that_may_not_be_carried_out(
    opsfix: Shell, plan: Path, change: Callable[[dict[str, Any]], None], code: int, words: str
) -> None:
    document = json.loads(plan.read_text())
    change(document)
    plan.write_text(json.dumps(document))
    before = [v.status for v in opsfix.cloud.volumes()]
    shown = opsfix("apply", str(plan), "--commit")
    assert (shown.code, words in shown.err) == (code, True), shown
    assert [v.status for v in opsfix.cloud.volumes()] == before


@pytest.mark.parametrize("text", ["", "null", "{}", "[" * 100000, "\x00\xff"])
def test_what_is_no_plan_at_all(opsfix: Shell, tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(text.encode("latin-1"))
    shown = opsfix("apply", str(path))
    assert (shown.code, "is no plan" in shown.err) == (2, True)
    assert opsfix("apply", str(tmp_path / "none")).code == opsfix("apply", str(tmp_path)).code == 2


def test_a_plan_goes_with_a_dry_run_to_a_place_that_takes_it(opsfix: Shell, tmp_path: Path) -> None:
    opsfix.cloud.add_volume(status="attaching")
    words = ("volume", "unstick", "--all", "--plan-out")
    assert opsfix(*words, str(tmp_path / "p")).code == 2
    assert opsfix(*words, str(tmp_path / "no" / "p"), "--dry-run").code == 7
    assert opsfix(*words, str(tmp_path), "--dry-run").code == 7
    assert opsfix.runs == []
