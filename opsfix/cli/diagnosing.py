"""Everything that is looked at when nobody says what: one check for each finder, in one table."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import click

from opsfix.cli import session
from opsfix.cli.auditing import Audited, audited
from opsfix.cli.proving import prove
from opsfix.cli.repairing import Command
from opsfix.config import Settings
from opsfix.diagnosis import Diagnosis
from opsfix.errors import CloudRefused, CloudUnknown, ConfigError, DatabaseUnknown, GuardError, OpsfixError, UsageError
from opsfix.gateways.opening import open_databases
from opsfix.ports import Cloud, Databases
from opsfix.scene import Scene
from opsfix.shared import Shared

#: Seconds between the two looks at what may be in flight.
PERIOD = 10.0
#: Checks at a time: while one waits for its second look, others read.
CHECKS = 5
DATABASES = ("cinder", "nova_api", "nova", "glance", "placement")
NO_DATABASE = "no database is configured: what only they tell was not looked at; see 'opsfix config show'"
#: The sides of the cloud that checks ask beside nova and cinder.
SERVICES = ("placement", "network", "images", "hosts", "power")
UNREAD = (CloudRefused, CloudUnknown, DatabaseUnknown)


@dataclass(frozen=True)
class Ground:
    """What the checks look at, and what they have to tell beside their findings. ``unusable`` is why the databases that
    are configured are not looked at."""

    scene: Scene
    settings: Settings
    notes: list[str]
    unusable: str | None = None

    @property
    def workers(self) -> int:
        """API calls in flight, of one check."""
        return int(self.settings["workers"])


@dataclass(frozen=True)
class Check:
    """One finder. ``runbook`` is that of the command which repairs what it finds; ``twice``: it looks twice by itself;
    ``knows`` are the findings that it may have, where they are a repair command's."""

    name: str
    look: Callable[[Ground], Audited]
    runbook: str
    twice: bool = False
    knows: Callable[[], Sequence[str]] = tuple


def checks() -> tuple[Check, ...]:
    """Every check, in the order in which they are told."""
    from opsfix import repairs
    from opsfix.cli import diagnosing_more as more

    def of(name: str, make: Callable[[], Command], runbook: str, known: tuple[Any, ...], *, twice: bool = False) -> Check:
        return Check(name, lambda ground: audited(make(), ground.scene, ground.workers), runbook, twice,
                     lambda: list(dict.fromkeys(r.symptom for r in known)))

    return (
        of("volumes", more.volumes, "volume_unstick", repairs.VOLUME_UNSTICK),
        of("mappings", more.mappings, "volume_reconcile", repairs.VOLUME_RECONCILE),
        of("servers", more.servers, "instance_reset_state", repairs.INSTANCE_RESET_STATE),
        of("agents", more.agents, "agent_clean", repairs.AGENT_CLEAN),
        Check("quotas", more.quotas, "volume_quota_sync", knows=lambda: list(dict.fromkeys(r.symptom for r in repairs.QUOTA_SYNC))),
        Check("services", more.services, "compute_purge", knows=lambda: ("compute-service-twin",)),
        of("placement", more.placement, "placement_clean", repairs.PLACEMENT_CLEAN, twice=True),
        of("ports", more.ports, "port_repair", repairs.PORT_REPAIR, twice=True),
        Check("forwardings", more.forwardings, "forward"),
        Check("shares", more.shares, "instance_rows_kept", knows=lambda: ("instance-share-left",)),
        Check("images", more.images, "image_purge", knows=lambda: ("image-stuck",)),
        Check("backups", more.backups, "db_backup", twice=True, knows=lambda: ("backup-old",)),
        Check("databases", more.databases, "db_status", twice=True),
    )


def chosen(only: Collection[str], skip: Collection[str]) -> list[Check]:
    """Those that are asked for. Raises UsageError for a name that none has."""
    every = checks()
    names = [c.name for c in every]
    if strange := sorted({*only, *skip} - set(names)):
        raise UsageError(f"no check is called {', '.join(strange)}: there are {', '.join(names)}")
    found = [c for c in every if (not only or c.name in only) and c.name not in skip]
    if not found:
        raise UsageError("that leaves nothing to look at")
    return found


def diagnose(
    ground: Ground, wanted: Sequence[Check], period: float = PERIOD, progress: Callable[[str, int, int], None] = lambda *_: None
) -> Diagnosis:
    """Look at all of it; a check that cannot be made is told as such. ``progress`` hears how many are done."""
    begun = time.monotonic()
    found = Diagnosis(checks=[c.name for c in wanted], notes=ground.notes)
    if ground.unusable:
        found.unchecked.append({"check": "databases", "type": None, "id": None, "reason": ground.unusable})
    over = ground.scene.stop
    with ThreadPoolExecutor(CHECKS, thread_name_prefix="opsfix-check") as pool:
        looks = [pool.submit(_checked, check, ground, lambda: _pause(over, period)) for check in wanted]
        try:
            for done, _ in enumerate(as_completed(looks), 1):
                progress("checks", done, len(looks))
        except BaseException:  # an interrupt ends the waits, and what has not begun
            over.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        for check, seen in zip(wanted, (look.result() for look in looks), strict=True):
            found.rows = _joined(found.rows, [{"check": check.name} | row for row in seen.findings])
            found.unchecked += [{"check": check.name} | row for row in seen.unchecked]
    found.seconds = time.monotonic() - begun
    return found


def _pause(over: threading.Event, period: float) -> None:
    if over.wait(period):
        raise CloudUnknown("interrupted")


def _joined(rows: list[dict[str, Any]], more: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Two commands may see one fault: the first that repairs it is told, else the first."""
    told = {_thing(row) for row in rows}
    refused = told - {_thing(row) for row in rows if not row["refused"]}
    repaired = refused & {_thing(row) for row in more if not row["refused"]}
    return [row for row in rows if _thing(row) not in repaired] + [row for row in more if _thing(row) not in told - repaired]


def _thing(row: dict[str, Any]) -> tuple[str, str]:
    return row["type"], row["id"]


def _checked(check: Check, ground: Ground, pause: Callable[[], None]) -> Audited:
    try:
        first = _look(check, ground, pause)
        if check.twice or not first.findings:
            return first
        pause()
        return _both(first, _look(check, ground, pause))
    except (*UNREAD, OpsfixError) as e:
        return Audited(unchecked=[{"type": None, "id": None, "reason": str(e)}])


def _look(check: Check, ground: Ground, pause: Callable[[], None]) -> Audited:
    """Look; where a service does not tell, once more after a pause: a cell that falters for a moment wakes nobody."""
    try:
        return check.look(ground)
    except (CloudUnknown, DatabaseUnknown):
        pause()
        return check.look(ground)


def _both(first: Audited, second: Audited) -> Audited:
    """What was the same both times: what changed meanwhile is at work, or was."""
    before = {_key(row) for row in first.findings}
    return Audited([row for row in second.findings if _key(row) in before], second.unchecked)


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["finding"], row["id"], row.get("changed_at")


@contextmanager
def opened(ctx: click.Context, older_than: timedelta, workers: int | None) -> Iterator[Callable[[], Ground]]:
    """The cloud and its databases, each look at which begins with nothing remembered. A database that cannot be used is
    told, and the look goes on without any. Raises ConfigError when the API cannot be used."""
    settings = session.settings(ctx, workers=workers)
    for text in settings.warnings:
        session.warn(f"warning: {text}")
    with ExitStack() as held:
        cloud = session.cloud(ctx, settings)
        cloud.connect()
        for name in SERVICES:  # made before several checks ask for them at once
            with suppress(*UNREAD):
                getattr(cloud, name)
        databases, unusable = _databases(cloud, settings, held)
        notes = [] if databases or unusable else [NO_DATABASE]

        def ground() -> Ground:
            shared = cast("Cloud", Shared(cloud))
            return Ground(Scene(shared, databases, older_than, deadline=settings["deadline"]), settings, [*notes], unusable)

        yield ground


def _databases(cloud: Any, settings: Settings, held: ExitStack) -> tuple[Databases | None, str | None]:
    try:
        found = open_databases(settings, DATABASES, read_only=True)
        if found is None:
            return None, None
        held.callback(found.dispose)
        prove(cloud, found)
    except (ConfigError, GuardError, *UNREAD) as e:
        return None, f"no database was looked at, and what only they tell is not known: {e}"
    return found, None
