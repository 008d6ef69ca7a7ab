"""Runs the engine over a fake cloud as ``volume unstick`` and ``volume reconcile`` do, and hands back what came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from opsfix.engine.run import Run
from opsfix.engine.way import Finding
from opsfix.finders import stuck_volumes
from opsfix.mappings import MappedVolumes
from opsfix.mismatches import mismatched_volumes
from opsfix.model import Item, Mode, Outcome
from opsfix.repair import Repair
from opsfix.repairs import VOLUME_RECONCILE, VOLUME_UNSTICK
from opsfix.scene import Scene
from opsfix.volumes import Volumes
from tests.fakes.cloud import FakeCloud
from tests.fakes.databases import FakeDatabases

#: Each item in turn may end in exactly these; the report's JSON has no other.
OUTCOMES = frozenset(Outcome)


@dataclass
class Driver:
    """One command line. ``databases`` False: only the API is configured."""

    cloud: FakeCloud
    mode: Mode = Mode.APPLY
    databases: FakeDatabases | bool = True
    fenced: Iterable[str] = ()
    older_than: timedelta = timedelta(minutes=15)
    deadline: float = 0.3
    workers: int = 4
    stop: threading.Event = field(default_factory=threading.Event)
    subject: Volumes = field(default_factory=Volumes)
    repairs: tuple[Repair, ...] = VOLUME_UNSTICK
    find: Callable[[Scene], set[str]] = stuck_volumes
    events: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.databases is True:
            self.databases = FakeDatabases(self.cloud)

    def run(self) -> Run:
        """A run of its own, with nothing remembered from an earlier one."""
        scene = Scene(
            cloud=self.cloud, databases=self.databases or None, older_than=self.older_than,
            fenced=frozenset(self.fenced), deadline=self.deadline, stop=self.stop,
        )
        return Run(self.subject, self.repairs, scene, self.mode, self._recorder, workers=self.workers)

    def _recorder(self, subject: str) -> Any:
        return lambda event, /, **data: self.events.append((subject, event, data))

    def named(self, *ids: str) -> list[Item]:
        """``COMMAND ID...``"""
        run = self.run()
        return self._checked(run, run.find(ids, named=True))

    def all(self) -> list[Item]:
        """``COMMAND --all``"""
        run = self.run()
        return self._checked(run, run.find(self.find(run.scene), named=False))

    def _checked(self, run: Run, findings: list[Finding]) -> list[Item]:
        items = run.repair(findings)
        assert all(item.outcome in OUTCOMES for item in items)
        assert sorted(item.id for item in items) == sorted(f.id for f in findings)
        return items


def reconciling(*, detach: bool = False, **options: Any) -> dict[str, Any]:
    """The options of a Driver that make it ``volume reconcile``."""
    command = {"subject": MappedVolumes(detach=detach), "repairs": VOLUME_RECONCILE, "find": mismatched_volumes}
    return command | options


def unstick(cloud: FakeCloud, *ids: str, **options: Any) -> Item:
    """One named volume's item."""
    (item,) = Driver(cloud, **options).named(*ids)
    return item


def healthy(cloud: FakeCloud, *ids: str, **options: Any) -> bool:
    """Whether a fresh run finds nothing wrong with any."""
    return all(i.outcome is Outcome.HEALTHY for i in Driver(cloud, older_than=timedelta(0), **options).named(*ids))


def state(cloud: FakeCloud, volume: str) -> str:
    """'in-use/attached, 1 attachments, 1 mappings', or 'gone'."""
    row = cloud.world.volumes[volume]
    if row.deleted:
        return "gone"
    mappings = len(list(cloud.world.mappings_of(volume)))
    return f"{row.status}/{row.attach_status}, {len(row.live)} attachments, {mappings} mappings"


FREE = "available/detached, 0 attachments, 0 mappings"
IN_USE = "in-use/attached, 1 attachments, 1 mappings"


@contextmanager
def unchanged(cloud: FakeCloud) -> Iterator[None]:
    """Every row is afterwards as it was before, and nothing was sent that could have changed one."""
    before = cloud.world.picture()
    sent = len(cloud.faults.changes)
    yield
    assert cloud.faults.changes[sent:] == []
    assert cloud.world.picture() == before


def assert_repaired(
    cloud: FakeCloud, volume: str, symptom: str, to: str = FREE, by: str = "api", **options: Any
) -> Item:
    """A dry run changes nothing; the run repairs; SQL waits for --commit; and then nothing is wrong any more."""
    with unchanged(cloud):
        shown = unstick(cloud, volume, **options | {"mode": Mode.DRY_RUN})
    assert (shown.finding, shown.outcome) == (symptom, Outcome.NEEDS_COMMIT), shown.reason
    assert shown.steps
    if by == "sql":
        before = cloud.world.picture()
        waiting = unstick(cloud, volume, **options)
        assert (waiting.finding, waiting.outcome) == (symptom, Outcome.NEEDS_COMMIT), waiting.reason
        assert cloud.world.picture() == before
        options |= {"mode": Mode.COMMIT}
    item = unstick(cloud, volume, **options)
    assert (item.finding, item.outcome, item.by) == (symptom, Outcome.REPAIRED, by), item.reason
    assert state(cloud, volume) == to
    if to != "gone":
        again = unstick(cloud, volume, **options | {"older_than": timedelta(0)})
        assert again.outcome is Outcome.HEALTHY, again.reason
    return item


def assert_refused(cloud: FakeCloud, volume: str, symptom: str, *words: str, **options: Any) -> Item:
    """No mode changes anything, and the reason says what stands in the way."""
    for mode in Mode:
        with unchanged(cloud):
            item = unstick(cloud, volume, **options | {"mode": mode})
        assert (item.finding, item.outcome, item.by) == (symptom, Outcome.REFUSED, None), item.reason
        for word in words:
            assert word in item.reason
    return item
