"""What is broken anywhere, sorted: findings by severity with their number, age, examples and the command that repairs them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatch
from typing import Any

from opsfix.errors import ExitCode
from opsfix.scene import Scene

SCHEMA = "opsfix.doctor/1"
SEVERITIES = ("critical", "warning", "info")
#: The first that fits decides; the rest are warnings. Critical is where guests, data or whole hosts are at stake.
SEVERITY = (
    ("compute-host-dead", "critical"),
    ("agent-*", "critical"),
    ("backup-*", "critical"),
    ("database-deleted-rows", "info"),
    ("database-*", "critical"),
    ("volume-mapping-dangling", "critical"),
    ("mapping-*", "critical"),
    ("port-binding-failed", "critical"),
    ("placement-consumer-empty", "info"),
    ("placement-provider-renamed", "info"),
    ("image-*", "info"),
    ("forward-router-kept", "info"),
)
#: How many of a group are shown.
EXAMPLES = 3

Row = Mapping[str, Any]


def severity(finding: str) -> str:
    """Of a finding, by its name."""
    return next((said for pattern, said in SEVERITY if fnmatch(finding, pattern)), "warning")


@dataclass
class Diagnosis:
    """All that was found. ``rows`` have check, finding, type, id, name, reason, command, changed_at; ``unchecked`` say
    what could not be looked at and why; ``notes`` say what was left out on purpose. ``since`` is the run to which this
    one is compared."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    unchecked: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0
    since: str | None = None

    @property
    def exit_code(self) -> ExitCode:
        """6 where a part is not known, 3 where something is wrong."""
        return ExitCode.UNKNOWN if self.unchecked else ExitCode.REMAINING if self.rows else ExitCode.OK

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The findings, one entry a kind, the worst first."""
        kinds: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            kinds.setdefault((row["check"], row["finding"]), []).append(row)
        found = [_group(check, finding, rows, self.started) for (check, finding), rows in kinds.items()]
        return sorted(found, key=lambda g: (SEVERITIES.index(g["severity"]), g["check"], g["finding"]))

    def as_dict(self) -> dict[str, Any]:
        """The diagnosis as JSON."""
        groups = self.groups
        return {
            "schema": SCHEMA, "started": self.started.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "seconds": round(self.seconds, 1), "since": self.since, "exit_code": int(self.exit_code),
            "summary": {s: sum(g["count"] for g in groups if g["severity"] == s) for s in SEVERITIES},
            "checks": self.checks, "findings": groups, "unchecked": self.unchecked,
            "notes": [*self.notes, *self._young()],
        }

    def _young(self) -> list[str]:
        """What is to be known of findings that their commands leave alone for their age."""
        times = [moment(row.get("changed_at")) for row in self.rows if not row["refused"]]
        count = sum(at is not None and self.started - at < Scene.older_than for at in times)
        return [f"{count} of these changed less than 15 minutes ago: their commands leave them alone until then, for somebody may be at"
                " work on them; --older-than 0s takes them, where you know that nobody is"] if count else []


def _group(check: str, finding: str, rows: Sequence[Row], now: datetime) -> dict[str, Any]:
    times = sorted(t for t in (moment(row.get("changed_at")) for row in rows) if t)
    shown = sorted(rows, key=lambda r: (str(r.get("changed_at") or "~"), r["id"]))[:EXAMPLES]
    return {
        "finding": finding, "severity": severity(finding), "check": check, "count": len(rows),
        "oldest": times[0].isoformat(timespec="seconds").replace("+00:00", "Z") if times else None,
        "oldest_age": max(0, int((now - times[0]).total_seconds())) if times else None,
        "ids": sorted(r["id"] for r in rows),
        "examples": [{k: r.get(k) for k in ("id", "name", "reason", "command")} for r in shown],
        "command": _command(rows),
    }


def _command(rows: Sequence[Row]) -> str | None:
    """What repairs them: one call for all where there is one, else that of the first."""
    whole = {row.get("all") for row in rows}
    if len(rows) > 1 and len(whole) == 1 and None not in whole:
        return str(whole.pop())
    return next((str(row["command"]) for row in rows if row.get("command")), None)


def moment(text: Any) -> datetime | None:
    """A time as reports have it, aware; None for none and for what is no time."""
    try:
        found = datetime.fromisoformat(str(text).replace(" UTC", "+00:00")) if text else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found


def seen(rows: Iterable[Row]) -> list[list[str]]:
    """What tells findings apart from run to run."""
    return sorted([str(row["finding"]), str(row["id"])] for row in rows)


def new(rows: Iterable[dict[str, Any]], before: Iterable[Sequence[str]]) -> list[dict[str, Any]]:
    """Those that the run before had not."""
    known = {tuple(pair) for pair in before}
    return [row for row in rows if (str(row["finding"]), str(row["id"])) not in known]


def metrics(found: Diagnosis, known: Mapping[str, Sequence[str]]) -> str:
    """Prometheus' text form. ``known`` are the findings that each check may have: those that are not there are told as 0."""
    return "".join(_metrics(found, known))


def _metrics(found: Diagnosis, known: Mapping[str, Sequence[str]]) -> Iterator[str]:
    groups = {g["finding"]: g for g in found.groups}
    names = dict.fromkeys([*(f for check in found.checks for f in known.get(check, ())), *groups])
    yield from _head("opsfix_findings", "How many of a finding there are.")
    for name in names:
        yield f'opsfix_findings{{finding="{name}",severity="{severity(name)}"}} {groups[name]["count"] if name in groups else 0}\n'
    yield from _head("opsfix_finding_oldest_seconds", "Age of the oldest of a finding.")
    for name, group in groups.items():
        if group["oldest_age"] is not None:
            yield f'opsfix_finding_oldest_seconds{{finding="{name}"}} {group["oldest_age"]}\n'
    yield from _head("opsfix_unchecked", "How much of a check could not be looked at.")
    for check in found.checks:
        yield f'opsfix_unchecked{{check="{check}"}} {sum(u["check"] == check for u in found.unchecked)}\n'
    yield from _head("opsfix_doctor_last_run_timestamp_seconds", "When everything was looked at last.")
    yield f"opsfix_doctor_last_run_timestamp_seconds {int(time.time())}\n"
    yield from _head("opsfix_doctor_seconds", "How long that took.")
    yield f"opsfix_doctor_seconds {found.seconds:.1f}\n"


def _head(name: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}\n# TYPE {name} gauge\n"
