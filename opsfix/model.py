"""The values that a run passes on: findings, steps' results, outcomes, the report. Frozen, no input or output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from opsfix.errors import PRECEDENCE, ExitCode

SCHEMA = "opsfix.report/1"


class Outcome(StrEnum):
    """Every finding ends in exactly one."""

    REPAIRED = "repaired"
    NEEDS_COMMIT = "needs_commit"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"
    HEALTHY = "healthy"


EXIT_OF_OUTCOME = {
    Outcome.REPAIRED: ExitCode.OK,
    Outcome.HEALTHY: ExitCode.OK,
    Outcome.NEEDS_COMMIT: ExitCode.REMAINING,
    Outcome.REFUSED: ExitCode.REFUSED,
    Outcome.FAILED: ExitCode.FAILED,
    Outcome.UNKNOWN: ExitCode.UNKNOWN,
}


class Result(StrEnum):
    """How one step ended."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    DRY_RUN = "dry-run"
    SKIPPED = "skipped"


class Mode(StrEnum):
    """What a run may change: nothing, by API only, or by API and guarded SQL."""

    DRY_RUN = "dry-run"
    APPLY = "apply"
    COMMIT = "commit"


@dataclass(frozen=True)
class StepReport:
    """One API call or one SQL statement: what it was, how it ended, how many rows (SQL only)."""

    kind: str
    what: str
    result: Result
    detail: str = ""
    rows: int | None = None
    statement: str | None = None
    before: tuple[Mapping[str, Any], ...] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The step in the report's JSON; statement and before-rows only where it has them."""
        out = {k: v for k, v in asdict(self).items() if v is not None}
        out["rows"] = self.rows
        return out


@dataclass(frozen=True)
class Item:
    """One finding and what became of it."""

    type: str
    id: str
    name: str
    project_id: str
    finding: str | None
    outcome: Outcome
    by: str | None
    reason: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[StepReport, ...] = ()
    stages: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The item in the report's JSON, which leaves its ``stages`` out: the findings that a dry run showed steps for."""
        return {
            "type": self.type, "id": self.id, "name": self.name, "project_id": self.project_id,
            "finding": self.finding, "outcome": str(self.outcome), "by": self.by, "reason": self.reason,
            "facts": dict(self.facts), "steps": [s.as_dict() for s in self.steps],
        }


@dataclass(frozen=True)
class Report:
    """A run's result. ``raised`` are exit codes from outside the items, an interrupt for one."""

    run: str
    command: str
    mode: Mode
    started: str
    finished: str
    items: tuple[Item, ...]
    raised: tuple[ExitCode, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """The first of the contract's precedence that any item, or the run itself, calls for."""
        codes = {EXIT_OF_OUTCOME[item.outcome] for item in self.items} | set(self.raised)
        return next((code for code in PRECEDENCE if code in codes), ExitCode.OK)

    @property
    def summary(self) -> dict[str, int]:
        """Items per outcome, every outcome named."""
        return {str(o): sum(item.outcome is o for item in self.items) for o in Outcome}

    def as_dict(self) -> dict[str, Any]:
        """The report as every repair command prints it with ``-o json``."""
        return {
            "schema": SCHEMA, "run": self.run, "command": self.command, "mode": str(self.mode),
            "started": self.started, "finished": self.finished, "exit_code": int(self.exit_code),
            "summary": self.summary, "items": [item.as_dict() for item in self.items],
        }
