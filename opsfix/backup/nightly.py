"""The nightly run: clean up, take a backup, and only then let old ones go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsfix.backup import metrics
from opsfix.backup.retention import Candidate, Decision, Policy, decide
from opsfix.backup.store import Backup, Store
from opsfix.backup.take import Options, check_space, estimate, survey, take
from opsfix.config import Settings
from opsfix.errors import BackupError, ConfigError, ExitCode
from opsfix.gateways.servers import places

Warn = Callable[[str], None]


@dataclass
class Night:
    """What a run did: the backup made (None for a dry run), what rotation decided, and what failed after the backup."""

    backup: Backup | None
    decisions: list[Decision] = field(default_factory=list)
    needed: int = 0
    databases: list[dict[str, Any]] = field(default_factory=list)
    exit_code: ExitCode = ExitCode.OK


def run(
    store: Store, settings: Settings, given: Mapping[str, str] | None, options: Options, policy: Policy,
    metrics_file: Path | None, warn: Warn,
) -> Night:  # fmt: skip
    """Take a backup and rotate. Whatever fails before the backup is whole removes nothing and raises."""
    try:
        night = _run(store, settings, given, options, policy, warn)
    except BaseException:
        _tell(store, metrics_file, warn, failed=True)
        raise
    _tell(store, metrics_file, warn, failed=False)
    return night


def _run(
    store: Store, settings: Settings, given: Mapping[str, str] | None, options: Options, policy: Policy, warn: Warn
) -> Night:
    decide([], policy)  # refuses an empty policy before any work
    store.prepare()
    with store.alone():
        for name in store.clean():
            warn(f"removed what an earlier run left unfinished: {name}")
        targets = survey(configured(settings, given), options, warn)
        needed = estimate(targets, _newest(store))
        check_space(store, needed)
        backup = take(store, targets, options, warn)
        night = Night(backup, needed=needed, databases=[dict(d) for d in backup.databases])
        _rotate(store, policy, night, warn)
    return night


def configured(settings: Settings, given: Mapping[str, str] | None) -> list[Any]:
    """Where the databases are; raises ConfigError when none is configured."""
    found = places(settings, given)
    if not found:
        raise ConfigError("no database is configured: see 'opsfix config show'")
    return found


def plan(store: Store, settings: Settings, given: Mapping[str, str] | None, options: Options, policy: Policy, warn: Warn) -> Night:
    """What a run would do now, with nothing written: the databases, and what would go once the backup is there."""
    decide([], policy)
    targets = survey(configured(settings, given), options, warn)
    needed = estimate(targets, _newest(store))
    if store.root.is_dir():
        check_space(store, needed)
    started = datetime.now(UTC)
    new = Candidate("(new)", store.next_sequence(), started)
    existing = [b.candidate() for b in store.every()]
    databases = [
        {"database": d, "service": service, "server": str(t.server), "tables": list(t.tables[d])}
        for t in targets for d, (service, _) in t.databases.items()
    ]
    return Night(None, decide([new, *existing], policy), needed, databases)


def _rotate(store: Store, policy: Policy, night: Night, warn: Warn) -> None:
    """Remove what the policy lets go; a backup counts only when its files are those that were written."""
    backups = {b.name: b for b in store.checked()}
    decided = decide([b.candidate() for b in backups.values()], policy)
    for decision in decided:
        final = decision
        if not decision.keep:
            try:
                store.remove(backups[decision.name])
            except BackupError as e:
                warn(f"warning: {e}: it stays this time")
                final = Decision(decision.name, keep=True, reason=f"should go, and stays: {e}")
                night.exit_code = ExitCode.FAILED
        elif backups[decision.name].damage:
            warn(f"warning: {decision.name} is {decision.reason}")
        night.decisions.append(final)


def _newest(store: Store) -> Backup | None:
    return next((b for b in store.every() if not b.damage), None)


def _tell(store: Store, path: Path | None, warn: Warn, *, failed: bool) -> None:
    """Write the metrics; that they cannot be written is told, and changes nothing of the run's own end."""
    if path is None:
        return
    try:
        good = [b for b in store.every() if not b.damage]
        metrics.write(path, metrics.Figures(good[0] if good else None, len(good), failed))
    except (BackupError, ConfigError) as e:
        warn(f"warning: {e}")
