"""A run of several items, killed at each of its journal writes and calls: nothing is lost, nothing is doubled."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from opsfix import history
from opsfix.engine.run import Run
from opsfix.history import ApiStep, Past, SqlStep
from opsfix.journal import Journal
from opsfix.model import Mode, Outcome, Report
from opsfix.repairs import VOLUME_UNSTICK
from opsfix.scene import Scene
from opsfix.volumes import Volumes
from tests.fakes.cloud import FakeCloud
from tests.fakes.databases import FakeDatabases
from tests.kills import Points, Remote, every_point, killed_at, serve
from tests.unit.driving import Driver, healthy, state

FENCED = frozenset({"cmp-1"})


def broken() -> tuple[FakeCloud, list[str]]:
    """Volumes whose repair takes API calls, SQL in one transaction, and both."""
    cloud = FakeCloud()
    attached, _ = cloud.attached()
    cloud.set_volume(attached, "detaching")
    orphaned, server = cloud.attached(host="cmp-2")
    cloud.lose_server(server)
    abandoned = cloud.add_volume(status="attaching")
    cloud.kill_host("cmp-1", off=True)
    return cloud, [attached, orphaned, abandoned]


def run(scene: Scene, volumes: list[str], state_dir: Path, point: Callable[[], None]) -> None:
    """What a repair command does, journal included, with a point at each write."""
    journal = Journal(state_dir, "volume unstick", "commit", [], "fake")
    real = journal.record

    def record(event: str, /, **data: Any) -> None:
        point()
        real(event, **data)
        point()

    recorder = lambda item: lambda event, /, **data: record(event, item=item, **data)  # noqa: E731
    run = Run(Volumes(), VOLUME_UNSTICK, scene, Mode.COMMIT, recorder, workers=1)
    items = run.find_and_repair(volumes, named=True)
    point()
    journal.close(Report(journal.run, "volume unstick", Mode.COMMIT, "", "", tuple(items)).as_dict())
    point()


def killed(cloud: FakeCloud, databases: FakeDatabases, volumes: list[str], state_dir: Path, point: int) -> bool:
    """The run in a process of its own, over the cloud in this one."""
    here, there = socket.socketpair()

    def child(points: Points) -> None:
        here.close()
        plain = frozenset({"hosts", "network", "placement", "images", "power"})
        remote = lambda name: Remote(there, points, (name,), plain)  # noqa: E731
        scene = Scene(remote("cloud"), remote("databases"), older_than=timedelta(0), fenced=FENCED, deadline=0.3)
        run(scene, volumes, state_dir, points)

    def parent() -> None:
        there.close()
        serve(here, {"cloud": cloud, "databases": databases})

    return killed_at(point, child, parent)


def truth(past: Past, cloud: FakeCloud, databases: FakeDatabases) -> None:
    """Whatever changed the cloud is in the journal, and whatever the journal calls done has changed the cloud."""
    steps = [s for t in past.traces().values() for s in t.steps]
    calls = [s for s in steps if isinstance(s, ApiStep)]
    sent = len(cloud.faults.changes)
    answered = sum(s.result is not None for s in calls)
    assert answered <= sent <= len(calls)
    assert len(calls) - answered <= 1
    sql = Counter(s.fate for s in steps if isinstance(s, SqlStep))
    assert sql[history.COMMITTED] <= len(databases.committed) <= sql.total()


def test_no_point_loses_or_doubles_anything(tmp_path: Path) -> None:
    whole, volumes = broken()
    Driver(whole, mode=Mode.COMMIT, fenced=FENCED, older_than=timedelta(0)).named(*volumes)
    ends = [state(whole, v) for v in volumes]
    assert [e.split(",")[0] for e in ends] == ["available/detached"] * 3

    def one(point: int) -> bool:
        cloud, volumes = broken()
        databases = FakeDatabases(cloud)
        was_killed = killed(cloud, databases, volumes, tmp_path / str(point), point)
        for past in history.every(tmp_path / str(point)):
            assert past.state == (history.DIED if past.report is None else history.COMPLETE)
            assert not past.at_work
            if past.report is None:
                truth(past, cloud, databases)
        again = Driver(cloud, mode=Mode.COMMIT, fenced=FENCED, older_than=timedelta(0)).named(*volumes)
        assert {i.outcome for i in again} <= {Outcome.REPAIRED, Outcome.HEALTHY}, (point, [i.reason for i in again])
        assert [state(cloud, v) for v in volumes] == ends
        assert healthy(cloud, *volumes, fenced=FENCED)
        return was_killed

    points = every_point(one)
    assert points > 100
