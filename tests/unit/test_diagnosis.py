"""What is broken, sorted, counted, compared with the last time, and told to a monitoring system."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opsfix import diagnosis, runbook, textfile
from opsfix.cli import diagnosed, diagnosing, doctor
from opsfix.cli.auditing import Audited
from opsfix.cli.diagnosing import Check, Ground, checks, chosen, diagnose
from opsfix.diagnosis import Diagnosis
from opsfix.errors import CloudRefused, CloudUnknown, ConfigError, ExitCode, UsageError
from opsfix.resources import Port, Server, Volume
from opsfix.scene import Scene
from opsfix.shared import Shared
from opsfix.sightings import Sightings

NOW = datetime(2026, 11, 21, 7, tzinfo=UTC)


def row(finding: str, subject_id: str, age: int | None = None, **values: Any) -> dict[str, Any]:
    changed_at = (NOW - timedelta(seconds=age)).isoformat() if age is not None else None
    return {
        "check": "volumes", "finding": finding, "type": "volume", "id": subject_id, "name": f"name of {subject_id}", "reason": "why",
        "command": f"opsfix volume unstick {subject_id}", "all": "opsfix volume unstick --all", "changed_at": changed_at,
        "refused": False,
    } | values


def found(*rows: dict[str, Any]) -> Diagnosis:
    return Diagnosis(list(rows), checks=["volumes"], started=NOW)


def test_findings_are_grouped_the_worst_first() -> None:
    seen = found(
        row("image-stuck", "i"), row("volume-creating", "b", 60), row("volume-mapping-dangling", "c"), row("volume-creating", "a", 3600),
    )
    groups = seen.groups
    assert [(g["severity"], g["finding"], g["count"]) for g in groups] == [
        ("critical", "volume-mapping-dangling", 1), ("warning", "volume-creating", 2), ("info", "image-stuck", 1),
    ]
    creating = groups[1]
    assert (creating["oldest_age"], creating["oldest"], creating["ids"]) == (3600, "2026-11-21T06:00:00Z", ["a", "b"])
    assert creating["examples"][0]["id"] == "a"
    assert seen.as_dict()["summary"] == {"critical": 1, "warning": 2, "info": 1}


def test_one_has_its_own_command_and_several_theirs() -> None:
    assert found(row("volume-creating", "a")).groups[0]["command"] == "opsfix volume unstick a"
    assert found(row("volume-creating", "a"), row("volume-creating", "b")).groups[0]["command"] == "opsfix volume unstick --all"
    refused = row("volume-creating", "b", all=None, command=None)
    assert found(row("volume-creating", "a"), refused).groups[0]["command"] == "opsfix volume unstick a"
    assert found(refused).groups[0]["command"] is None


def test_exit_codes() -> None:
    assert found().exit_code is ExitCode.OK
    assert found(row("volume-creating", "a")).exit_code is ExitCode.REMAINING
    unknown = found(row("volume-creating", "a"))
    unknown.unchecked.append({"check": "volumes", "id": None, "reason": "down"})
    assert unknown.exit_code is ExitCode.UNKNOWN


def test_figures_tell_of_what_is_not_there_too() -> None:
    text = diagnosis.metrics(found(row("volume-creating", "a", 60)), {"volumes": ("volume-creating", "volume-deleting"), "x": ("other",)})
    lines = text.splitlines()
    assert 'opsfix_findings{finding="volume-creating",severity="warning"} 1' in lines
    assert 'opsfix_findings{finding="volume-deleting",severity="warning"} 0' in lines
    assert 'opsfix_finding_oldest_seconds{finding="volume-creating"} 60' in lines
    assert 'opsfix_unchecked{check="volumes"} 0' in lines
    assert "other" not in text
    assert all(line.startswith("#") or len(line.rsplit(" ", 1)) == 2 for line in lines)


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "figures.prom"
    textfile.replace(path, "one\n")
    with pytest.raises(UnicodeEncodeError):
        textfile.replace(path, "two\udcff")
    assert path.read_text() == "one\n"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("text", ["2026-11-21T07:00:00+00:00", "2026-11-21 07:00:00 UTC", "2026-11-21 07:00:00"])
def test_times_of_all_forms(text: str) -> None:
    assert diagnosis.moment(text) == NOW


def test_what_is_no_time_is_none() -> None:
    assert [diagnosis.moment(t) for t in (None, "", "yesterday")] == [None] * 3


# since the last time


def compare(path: Path, cloud: str, seen: Diagnosis) -> None:
    diagnosed._keep(path, diagnosed._compared(path, cloud, seen))


def test_only_what_is_new_is_told(tmp_path: Path) -> None:
    path = tmp_path / "state" / "doctor.json"
    first, same, more, other = (found(row("volume-creating", "a")) for _ in range(4))
    compare(path, "cloud", first)
    assert ([r["id"] for r in first.rows], first.since) == (["a"], None)
    compare(path, "cloud", same)
    assert (same.rows, same.since) == ([], NOW.isoformat())
    more.rows.append(row("volume-creating", "b"))
    compare(path, "cloud", more)
    assert [r["id"] for r in more.rows] == ["b"]
    compare(path, "another cloud", other)
    assert [r["id"] for r in other.rows] == ["a"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_could_not_be_looked_at_is_not_new_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "doctor.json"
    compare(path, "cloud", found(row("volume-creating", "a")))
    blind = found()
    blind.unchecked.append({"check": "volumes", "id": None, "reason": "down"})
    compare(path, "cloud", blind)
    again = found(row("volume-creating", "a"))
    compare(path, "cloud", again)
    assert again.rows == []


def test_the_young_are_told_to_be_left_alone() -> None:
    """Their commands' own age guard holds: somebody may be at work on them, and no command is told to overlook that."""
    refused = row("volume-creating", "b", 60) | {"refused": True}
    told = found(row("volume-creating", "a", 60), refused, row("volume-creating", "c", 7200)).as_dict()
    assert [note.partition(" ")[0] for note in told["notes"]] == ["1"]
    assert "--older-than" not in told["findings"][0]["command"]
    assert found(row("volume-creating", "c", 7200)).as_dict()["notes"] == []


def test_a_broken_memory_tells_everything(tmp_path: Path) -> None:
    path = tmp_path / "doctor.json"
    path.write_text("{")
    seen = found(row("volume-creating", "a"))
    compare(path, "cloud", seen)
    assert len(seen.rows) == 1
    assert json.loads(path.read_text())["cloud"]["findings"] == [["volumes", "volume-creating", "a"]]


# checks


def ground() -> Ground:
    return Ground(Scene(None), {"workers": 8}, [])  # type: ignore[arg-type]


def looking(*looks: list[dict[str, Any]]) -> Any:
    following = iter(looks)
    return lambda _: Audited(next(following))


def test_what_changes_between_the_looks_is_left_out() -> None:
    stays, moves, ends = row("volume-creating", "a", 60), row("volume-creating", "b", 60), row("volume-creating", "c", 60)
    moved = moves | {"changed_at": NOW.isoformat()}
    turned = ends | {"finding": "volume-deleting"}
    check = Check("volumes", looking([stays, moves, ends], [stays, moved, turned, row("volume-creating", "new")]), "volume_unstick")
    assert [r["id"] for r in diagnose(ground(), [check], 0.0).rows] == ["a"]


def test_what_looks_twice_itself_is_asked_once() -> None:
    check = Check("ports", looking([row("port-orphaned", "a")]), "port_repair", twice=True)
    assert len(diagnose(ground(), [check], 0.0).rows) == 1


@pytest.mark.parametrize(
    ("refused", "told"),
    [((False, False), "volumes"), ((False, True), "volumes"), ((True, True), "volumes"), ((True, False), "mappings")],
)
def test_two_commands_that_see_one_fault_are_one_finding(refused: tuple[bool, bool], told: str) -> None:
    made = [
        Check(name, looking([row(f"{name}-fault", "a") | {"refused": no}]), "x", twice=True)
        for name, no in zip(("volumes", "mappings"), refused, strict=True)
    ]
    assert [r["finding"] for r in diagnose(ground(), made, 0.0).rows] == [f"{told}-fault"]


def test_what_falters_for_a_moment_is_looked_at_again() -> None:
    answers: Iterator[Any] = iter([CloudUnknown("a cell of nova is down"), Audited([row("volume-creating", "a")])] * 2)

    def falters(_: Ground) -> Audited:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    seen = diagnose(ground(), [Check("volumes", falters, "x")], 0.0)
    assert ([r["id"] for r in seen.rows], seen.unchecked) == (["a"], [])


def test_a_refusal_is_not_asked_for_twice() -> None:
    asked = []

    def refuses(_: Ground) -> Audited:
        asked.append(1)
        raise CloudRefused(403, "not authorized")

    assert len(diagnose(ground(), [Check("volumes", refuses, "x")], 60.0).unchecked) == len(asked) == 1


def test_an_interrupt_ends_the_pause_between_two_looks() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    waits = Check("volumes", looking([row("volume-creating", "a")]), "x")  # for an hour, and would then look again
    with pytest.raises(KeyboardInterrupt):
        diagnose(ground(), [waits, Check("ports", looking([]), "x")], 3600.0, interrupt)


def test_a_check_that_fails_is_told_and_stops_no_other() -> None:
    def fails(_: Ground) -> Audited:
        raise CloudUnknown("a cell of nova is down")

    def misconfigured(_: Ground) -> Audited:
        raise ConfigError("no such file")

    works = Check("ports", looking([row("port-orphaned", "a")]), "x", twice=True)
    made = [Check("volumes", fails, "x"), Check("images", misconfigured, "x"), works]
    seen = diagnose(replace(ground(), unusable="the login is refused"), made, 0.0)
    assert [(u["check"], u["reason"]) for u in seen.unchecked] == [
        ("databases", "the login is refused"), ("volumes", "a cell of nova is down"), ("images", "no such file"),
    ]
    assert [r["id"] for r in seen.rows] == ["a"]


def test_checks_are_chosen_by_name() -> None:
    names = [c.name for c in checks()]
    assert ", ".join(names) in " ".join((doctor.group.epilog or "").split())
    assert [c.name for c in chosen(("ports", "volumes"), ())] == ["volumes", "ports"]
    assert [c.name for c in chosen((), ("ports",))] == [n for n in names if n != "ports"]
    for only, skip in ((("none",), ()), ((), ("none",)), (("ports",), ("ports",))):
        with pytest.raises(UsageError):
            chosen(only, skip)


def test_every_check_and_every_finding_has_a_runbook() -> None:
    listed = runbook.read("doctor")
    for check in checks():
        assert f"\n| {check.name} |" in listed
        assert runbook.read(check.runbook)
        for finding in check.knows():
            assert runbook.read(finding, check.runbook)
    for name in ("..", "../README", "no-such", ""):
        with pytest.raises(UsageError, match="there is no runbook"):
            runbook.read(name)


def test_period_is_longer_than_a_beat() -> None:
    assert diagnosing.PERIOD >= 10


# listings


class Listings:
    """Counts what is listed."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails = False
        self.network = self

    def _listed(self, name: str, things: list[Any], asked: dict[str, Any]) -> Iterator[Any]:
        self.asked.append(name)
        if self.fails:
            raise CloudUnknown("half a listing")
        yield from things

    def servers(self, **asked: Any) -> Iterator[Server]:
        return self._listed("servers", [Server("s", "", "p")], asked)

    def ports(self, **asked: Any) -> Iterator[Port]:
        return self._listed("ports", [Port("p", "", "", "", "", "n", "ACTIVE")], asked)

    def volumes(self, **asked: Any) -> Iterator[Volume]:
        return self._listed("volumes", [Volume("a", "", "p", "in-use"), Volume("b", "", "p", "creating")], asked)

    def attachments(self, **asked: Any) -> Iterator[Any]:
        return self._listed("attachments", [], asked)

    def server(self, server_id: str) -> str:
        self.asked.append(server_id)
        return server_id


def test_a_listing_is_read_once_whoever_asks() -> None:
    cloud = Listings()
    shared = Shared(cloud)  # type: ignore[arg-type]
    threads = [threading.Thread(target=lambda: [*shared.servers()]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [v.id for v in shared.volumes(status="creating")] == ["b"]
    assert [v.id for v in shared.volumes(status="in-use")] == ["a"]
    assert [*shared.network.ports()] == [*shared.network.ports()]
    assert [*shared.attachments()] == [*shared.attachments()]
    assert sorted(cloud.asked) == ["attachments", "ports", "servers", "volumes"]


def test_what_is_asked_for_by_name_is_read_anew() -> None:
    cloud = Listings()
    shared = Shared(cloud)  # type: ignore[arg-type]
    for _ in range(2):
        list(shared.servers(host="gpu-1"))
        list(shared.network.ports(device_id="s"))
        list(shared.volumes(name="v"))
        list(shared.attachments(volume_id="v"))
        shared.server("s")
    assert len(cloud.asked) == 10


def test_half_a_listing_is_not_kept() -> None:
    cloud = Listings()
    shared = Shared(cloud)  # type: ignore[arg-type]
    cloud.fails = True
    with pytest.raises(CloudUnknown):
        list(shared.servers())
    cloud.fails = False
    assert [s.id for s in shared.servers()] == ["s"]


# two looks


def test_the_second_look_comes_a_period_after_the_first() -> None:
    sightings, moments = Sightings("x", 0.05), []

    def read(after: float) -> dict[str, Any]:
        moments.append(after)
        return {"x.mark": "same"}

    assert sightings.once("a", read) == {"x.mark": "same"}
    assert sightings.twice("a", read, threading.Event()) == {"x.mark": "same", "x.still": True}
    assert moments[-1] - moments[0] >= 0.05
    count = len(moments)
    sightings.twice("a", read, threading.Event())
    assert len(moments) == count + 1, "it was the same for a period already"


def test_a_run_that_ends_waits_for_no_second_look() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(CloudUnknown, match="before the second look"):
        Sightings("x", 3600.0).twice("a", lambda _: {"x.mark": "same"}, stop)


def test_what_changed_is_not_still_so() -> None:
    marks = iter(["one", "two"])
    assert Sightings("x", 0.0).twice("a", lambda _: {"x.mark": next(marks, "two")}, threading.Event()) in (
        {"x.mark": "one", "x.still": True}, {"x.mark": "two", "x.still": False},
    )
    marks = iter(["one", "two"])
    assert Sightings("x", 0.01).twice("a", lambda _: {"x.mark": next(marks)}, threading.Event()) == {"x.mark": "two", "x.still": False}


def test_what_is_nowhere_near_in_flight_is_not_waited_for() -> None:
    assert Sightings("x", 60.0).twice("a", lambda _: {"x.mark": None}, threading.Event()) == {"x.mark": None}
    assert Sightings("x", 60.0).twice("a", lambda _: None, threading.Event()) is None
