"""What a run did, put back: first looked at as a whole, then step by step in reverse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol

from opsfix import inverses, sqlfile
from opsfix.engine.act import send
from opsfix.errors import ConfigError, DatabaseRefused, DatabaseUnknown, JournalError
from opsfix.gateways.putback import moved, once, place
from opsfix.history import COMMITTED, IN_DOUBT, NOTHING, ApiStep, SqlStep, Trace
from opsfix.model import Item, Mode, Outcome, Result, StepReport
from opsfix.ports import Cloud, Recorder
from opsfix.secrets import masked_row, plain
from opsfix.steps import Call, Course

Image = dict[str, Any]
#: What the rows of a transaction in doubt tell of it, besides COMMITTED and NOTHING.
MOVED = "the rows have changed since"


class Tables(Protocol):
    """The databases, as far as an undo needs them (gateways.database.Databases)."""

    def current(self, service: str, cell: str | None, images: Sequence[Image]) -> list[Image]:
        """The rows of these images as they are now."""

    def put_back(
        self, service: str, cell: str | None, name: str, before: Sequence[Image], after: Sequence[Image], record: Recorder
    ) -> None:
        """Bring rows back in one guarded transaction."""


@dataclass(frozen=True)
class Undoing:
    """What all items of an undo share. ``tables`` is None where no database is configured."""

    cloud: Cloud
    tables: Tables | None
    mode: Mode
    record: Callable[[str], Recorder]
    deadline: float = 60.0


def decided(step: SqlStep, tables: Tables | None) -> str:
    """COMMITTED, NOTHING or MOVED for a transaction; where the journal does not know, by reading the rows.

    IN_DOUBT where they cannot be read.
    """
    if step.fate != IN_DOUBT:
        return step.fate
    if tables is None or step.after is None:
        return IN_DOUBT
    try:
        now = tables.current(step.service, step.cell, step.after)
    except (ConfigError, DatabaseUnknown):
        return IN_DOUBT
    if moved(step.after, now) is None:
        return COMMITTED
    return NOTHING if moved(step.before, now) is None else MOVED


def put_back(trace: Trace, undoing: Undoing) -> Item:
    """Undo what a run did to one item. Rows that are not as the run left them, all of them looked at first, refuse it."""
    steps: list[StepReport] = []
    try:
        outcome, reason = _Undo(trace, undoing, steps).go()
    except (ConfigError, DatabaseUnknown) as e:
        outcome, reason = Outcome.UNKNOWN if _changed(steps) else Outcome.REFUSED, f"its rows cannot be read: {e}"
    except JournalError as e:
        outcome, reason = Outcome.UNKNOWN if _changed(steps) else Outcome.REFUSED, str(e)
    if undoing.mode is Mode.COMMIT:
        undoing.record(trace.id)("item-end", outcome=str(outcome), by=None, reason=reason, finding=trace.finding)
    by = ("sql" if any(s.kind == "sql" for s in steps) else "api") if outcome is Outcome.REPAIRED else None
    return Item(trace.type or "item", trace.id, trace.name, "", trace.finding, outcome, by, reason, steps=tuple(steps))


def _changed(steps: Sequence[StepReport]) -> bool:
    return any(s.result in (Result.DONE, Result.UNKNOWN) for s in steps)


class _Undo:
    """One item's way back; ``steps`` is what is told of it."""

    def __init__(self, trace: Trace, undoing: Undoing, steps: list[StepReport]):
        self.trace, self.u, self.steps = trace, undoing, steps
        self.record = undoing.record(trace.id)

    def go(self) -> tuple[Outcome, str]:
        back = [b for step in reversed(self.trace.steps) if (b := self._back(step))]
        calls = [b for b in back if not isinstance(b, str)]
        lost = [b for b in back if isinstance(b, str)]
        self.steps += [StepReport("api", what, Result.SKIPPED, "cannot be undone") for what in lost]
        if not calls:
            return (Outcome.REFUSED, f"nothing of it can be undone: {'; '.join(lost)}") if lost else (
                Outcome.HEALTHY, "the run changed nothing of it")
        refusal = self._moved([b for b in calls if isinstance(b, SqlStep)])
        if refusal:
            return Outcome.REFUSED, refusal
        rest = f"; {len(lost)} of its steps cannot be undone" if lost else ""
        if self.u.mode is not Mode.COMMIT:
            for b in calls:
                self._show(b)
            return Outcome.NEEDS_COMMIT, f"repeat with --commit to put it back{rest}"
        self.record("plan", repair=self.trace.finding, means="undo", facts={}, type=self.trace.type, name=self.trace.name)
        for b in calls:
            ended = self._sql(b) if isinstance(b, SqlStep) else self._api(b)
            if ended:
                return ended
        return Outcome.REPAIRED, f"what the run changed was put back{rest}"

    def _back(self, step: ApiStep | SqlStep) -> SqlStep | Call | str | None:
        """What takes a step back: a transaction, a call, in words why nothing can, None where nothing need be."""
        if isinstance(step, SqlStep):
            fate = decided(step, self.u.tables)
            if fate == IN_DOUBT:
                raise ConfigError(f"whether sql/{step.file}.sql was committed is not known, and {step.service} has no database here")
            return None if fate == NOTHING or step.after is None else step
        if step.result not in (str(Result.DONE), str(Result.UNKNOWN), None) or step.inverse == inverses.NOTHING:
            return None
        try:
            call = inverses.call(step.inverse, step.made) if step.inverse else None
        except (KeyError, TypeError, ValueError):  # it made nothing, or another opsfix kept it
            call = None
        return call or step.what

    def _moved(self, steps: Sequence[SqlStep]) -> str | None:
        """Which row is not as the run left it, with the later transactions of the run taken back in thought."""
        overlay: dict[Any, Any] = {}
        for step in steps:
            assert step.after is not None
            if self.u.tables is None:
                return f"sql/{step.file}.sql needs the database of {step.service}, which is not configured: see 'opsfix config show'"
            before, after = once(step.before), once(step.after)
            keys = [(step.service, step.cell, *place(i)) for i in after]
            read = self.u.tables.current(step.service, step.cell, after)
            now = [i | {"row": overlay.get(k, i["row"])} for k, i in zip(keys, read, strict=True)]
            refusal = moved(after, now)
            if refusal:
                return refusal
            overlay |= {k: i["row"] for k, i in zip(keys, before, strict=True)}
        return None

    def _show(self, b: SqlStep | Call) -> None:
        if isinstance(b, SqlStep):
            self.steps.append(_report(b, Result.DRY_RUN))
        else:
            self.steps.append(StepReport("api", b.what, Result.DRY_RUN))

    def _sql(self, step: SqlStep) -> tuple[Outcome, str] | None:
        assert self.u.tables is not None
        assert step.after is not None
        try:
            self.u.tables.put_back(step.service, step.cell, step.file, step.before, step.after, self.record)
        except DatabaseRefused as e:
            self.record("sql-refused", file=step.file, detail=str(e))
            self.steps.append(_report(step, Result.REFUSED, str(e)))
            return self._partly(Outcome.REFUSED, str(e))
        except DatabaseUnknown as e:
            self.record("sql-unknown", file=step.file, detail=str(e))
            self.steps.append(_report(step, Result.UNKNOWN, str(e)))
            return Outcome.UNKNOWN, str(e)
        self.steps.append(_report(step, Result.DONE))
        return None

    def _api(self, call: Call) -> tuple[Outcome, str] | None:
        ended = send(call, self.u.cloud, Course(monotonic() + self.u.deadline), self.record, self.steps)
        if ended is Result.REFUSED:
            return self._partly(Outcome.REFUSED, f"refused by the service: {self.steps[-1].detail}")
        if ended is Result.UNKNOWN:
            return Outcome.UNKNOWN, f"whether it took effect is not known: {self.steps[-1].detail}"
        return None

    def _partly(self, outcome: Outcome, reason: str) -> tuple[Outcome, str]:
        if _changed(self.steps):
            return Outcome.FAILED, f"only the last steps were put back: {reason}"
        return outcome, reason


def _report(step: SqlStep, result: Result, detail: str = "") -> StepReport:
    """The transaction that brings the rows back, in words: each row as the run left it, and as it returns."""
    rows = [(b, a) for b, a in zip(once(step.before), once(step.after or []), strict=True) if b["row"] != a["row"]]
    return StepReport(
        kind="sql", what=f"{step.service}: put back what sql/{step.file}.sql changed", result=result,
        detail=detail or f"{len(rows)} row{'' if len(rows) == 1 else 's'}", rows=len(rows),
        statement="\n".join(told(b, a["row"]) for b, a in rows),
        before=tuple(masked_row(a["row"]) for _, a in rows if a["row"] is not None),
    )


def told(image: Mapping[str, Any], now: Mapping[str, Any] | None) -> str:
    """What brings one row from ``now`` to an image, for reading only; secrets masked."""
    table, row = image["table"], image["row"]
    where = sqlfile.spoken(" AND ".join(f"{k} = :{k}" for k in image["key"]), {k: plain(v) for k, v in image["key"].items()})
    if row is None:
        return f"DELETE FROM {table} WHERE {where}"
    shown = masked_row(row)
    if now is None:
        return sqlfile.spoken(f"INSERT INTO {table} ({', '.join(shown)}) VALUES ({', '.join(f':{c}' for c in shown)})", shown)
    changed = [c for c in row if row[c] != now.get(c)]
    return sqlfile.spoken(f"UPDATE {table} SET {', '.join(f'{c} = :{c}' for c in changed)} ", shown) + f"WHERE {where}"


