"""What the journals of past runs tell: which runs there were, what each did, and what is certain of one that died.

An API step is certain once its end is written. A transaction is: nothing was written while its after-images are not on
disk, because no COMMIT was sent before; all of it was once its commit is; between the two, the rows themselves decide.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from opsfix import recorded
from opsfix.errors import ConfigError, GuardError, JournalError, TargetNotFound, UsageError
from opsfix.journal import decode

_RUN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}\Z")
_PART = re.compile(r"[0-9TZa-f-]{4,}\Z")
DIED, AT_WORK, COMPLETE, DAMAGED = "died", "at work", "complete", "damaged"
#: How a transaction ended.
COMMITTED, NOTHING, IN_DOUBT = "committed", "nothing was written", "in doubt"


@dataclass
class ApiStep:
    """One API call: ``result`` is None where the run died before it knew."""

    time: str
    what: str
    inverse: Mapping[str, Any] | None
    result: str | None = None
    detail: str = ""
    made: Mapping[str, str] = field(default_factory=dict)


@dataclass
class SqlStep:
    """One transaction: images of the rows before and after, each with ``table``, ``key`` and ``row`` (None: not there)."""

    time: str
    file: str
    service: str
    cell: str | None
    database: str
    statements: list[dict[str, Any]]
    before: list[dict[str, Any]]
    after: list[dict[str, Any]] | None = None
    ended: str = ""
    detail: str = ""

    @property
    def fate(self) -> str:
        """COMMITTED, NOTHING or IN_DOUBT, as far as the journal knows."""
        if self.ended:
            return self.ended
        return NOTHING if self.after is None else IN_DOUBT


@dataclass
class Trace:
    """What a run did to one item, in order; ``outcome`` is None where it did not come to its end."""

    id: str
    type: str = ""
    name: str = ""
    finding: str | None = None
    outcome: str | None = None
    reason: str = ""
    steps: list[ApiStep | SqlStep] = field(default_factory=list)
    _open: SqlStep | None = None

    @property
    def doubtful(self) -> bool:
        """Whether the journal alone does not tell what was changed."""
        return any(
            s.fate == IN_DOUBT if isinstance(s, SqlStep) else s.result in (None, "unknown") for s in self.steps
        )

    def take(self, event: Mapping[str, Any]) -> None:
        """Add an event of the journal."""
        handle = _EVENTS.get(str(event["event"]))
        if handle:
            handle(self, event)

    def _plan(self, event: Mapping[str, Any]) -> None:
        self.finding = self.finding or event["repair"]
        self.type, self.name = event.get("type", self.type), event.get("name", self.name)

    def _sent(self, event: Mapping[str, Any]) -> None:
        self.steps.append(ApiStep(event["time"], event["what"], event["inverse"]))

    def _answered(self, event: Mapping[str, Any]) -> None:
        step = next(s for s in reversed(self.steps) if isinstance(s, ApiStep) and s.what == event["what"])
        step.result, step.detail, step.made = event["result"], event["detail"], event["made"]

    def _begun(self, event: Mapping[str, Any]) -> None:
        if self._open is not None and not self._open.ended and self._open in self.steps:
            self.steps.remove(self._open)  # an attempt that was rolled back and begun anew
        self._open = SqlStep(
            event["time"], event["file"], event["service"], event["cell"], event["database"], event["statements"], event["images"]
        )
        self.steps.append(self._open)

    def _written(self, event: Mapping[str, Any]) -> None:
        if self._open:
            self._open.after = event["images"]

    def _committed(self, _: Mapping[str, Any]) -> None:
        if self._open:
            self._open.ended = COMMITTED

    def _refused(self, event: Mapping[str, Any]) -> None:
        if self._open and not self._open.ended:
            self._open.ended, self._open.detail = NOTHING, event["detail"]

    def _unknown(self, event: Mapping[str, Any]) -> None:
        if self._open:
            self._open.detail = event["detail"]

    def _ended(self, event: Mapping[str, Any]) -> None:
        self.outcome, self.reason, self.finding = event["outcome"], event["reason"], event["finding"]


_EVENTS = {
    "plan": Trace._plan, "api-before": Trace._sent, "api-after": Trace._answered, "sql-before": Trace._begun,
    "sql-after": Trace._written, "sql-committed": Trace._committed, "sql-refused": Trace._refused,
    "sql-unknown": Trace._unknown, "item-end": Trace._ended,
}


@dataclass(frozen=True)
class Past:
    """One run: ``meta`` is what it wrote down first, ``report`` what it wrote last, None where it did not come to that;
    ``damage`` is why either cannot be read."""

    run: str
    path: Path
    meta: Mapping[str, Any]
    report: Mapping[str, Any] | None
    at_work: bool
    damage: str = ""

    @property
    def state(self) -> str:
        """COMPLETE, AT_WORK, DIED or DAMAGED."""
        if self.damage:
            return DAMAGED
        return COMPLETE if self.report is not None else AT_WORK if self.at_work else DIED

    @property
    def exit_code(self) -> int | None:
        """None for a run without an end."""
        return int(self.report["exit_code"]) if self.report is not None else None

    @property
    def failed(self) -> bool:
        """Whether it died, or ended with anything but 0."""
        return self.state in (DIED, DAMAGED) or bool(self.exit_code)

    @property
    def started(self) -> datetime:
        """When it began, UTC."""
        return datetime.fromisoformat(str(self.meta["started"]))

    def events(self) -> Iterator[dict[str, Any]]:
        """The events of the journal, decoded. The last line of a run that died may be torn and is left out.

        Raises JournalError for any other damage.
        """
        try:
            with (self.path / "journal.jsonl").open(encoding="utf-8", errors="surrogateescape") as file:
                for number, line in enumerate(file, 1):
                    if not line.endswith("\n"):
                        return
                    yield _event(self.run, number, line)
        except OSError as e:
            raise JournalError(f"the journal of run {self.run} cannot be read ({e.strerror})") from e

    def traces(self) -> dict[str, Trace]:
        """What it did, by item, in the order of the first events. Raises JournalError for a damaged journal."""
        found: dict[str, Trace] = {}
        for event in self.events():
            item = event.get("item")
            if item is None:
                continue
            try:
                found.setdefault(str(item), Trace(str(item))).take(event)
            except (KeyError, TypeError, StopIteration) as e:
                raise JournalError(f"the journal of run {self.run} is damaged: an event {event.get('event')!r} lacks {e}") from e
        for item in (self.report or {}).get("items", ()):
            trace = found.setdefault(str(item["id"]), Trace(str(item["id"]), outcome=item["outcome"], reason=item["reason"]))
            trace.type, trace.name = item["type"], item["name"]
        return found

    @property
    def in_doubt(self) -> bool:
        """Whether a person may still need its journal to learn what was changed."""
        return self.state != COMPLETE or self.exit_code in (1, 6) or any(t.doubtful for t in self.traces().values())


def _event(run: str, number: int, line: str) -> dict[str, Any]:
    try:
        event = decode(json.loads(line))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, StopIteration) as e:
        raise JournalError(f"the journal of run {run} is damaged in line {number}") from e
    wrong = recorded.event_misfit(event)
    if wrong:
        raise JournalError(f"the journal of run {run} is damaged in line {number} ({wrong})")
    found: dict[str, Any] = event
    return found


def names(root: Path) -> list[str]:
    """The runs in a state directory, newest first. Raises ConfigError where it cannot be read."""
    try:
        return sorted((p.name for p in (root / "runs").iterdir() if _RUN.match(p.name)), reverse=True)
    except FileNotFoundError:
        return []
    except OSError as e:
        raise ConfigError(f"the journals in {root} cannot be read ({e.strerror}): name another place with --state-dir") from e


def every(root: Path) -> Iterator[Past]:
    """Every run, newest first; one whose beginning was never written is left out, as it did nothing."""
    for _, together in groupby(names(root), key=lambda name: name[:16]):  # a name tells the second, run.json the rest
        found = [past for name in together if (past := _past(root, name))]
        yield from sorted(found, key=lambda past: past.started, reverse=True)


def find(root: Path, word: str) -> Past:
    """The run of this name, or of which it is a part that no other has; 'latest' is the newest.

    Raises TargetNotFound, and UsageError for an ambiguous part.
    """
    known = names(root)
    if word == "latest":
        matching = [past.run for past in islice(every(root), 1)]
    else:
        matching = [n for n in known if n == word] or [n for n in known if _PART.match(word) and word in n]
    if len(matching) > 1:
        raise UsageError(f"{len(matching)} runs match {word!r}: {', '.join(matching[:5])}: name one in full")
    past = _past(root, matching[0]) if matching else None
    if past is None:
        raise TargetNotFound(f"no run {word!r} is in {root}: 'opsfix history' lists those that are")
    if past.damage:
        raise JournalError(f"run {past.run} cannot be told: {past.damage}")
    return past


def _past(root: Path, name: str) -> Past | None:
    path = root / "runs" / name
    try:
        meta, report = _json(path / "run.json"), _json(path / "report.json")
    except (OSError, ValueError, RecursionError) as e:
        return _damaged(path, getattr(e, "strerror", None) or "no JSON")
    if meta is None:
        return None
    wrong = recorded.run_misfit(meta, report)
    if wrong:
        return _damaged(path, f"{wrong} is damaged")
    return Past(name, path, meta, report, report is None and _held(path / "journal.jsonl"))


def _damaged(path: Path, why: str) -> Past:
    """A run of which only the name is certain, which tells when it began."""
    began = datetime.strptime(path.name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).isoformat()
    meta = dict.fromkeys(recorded.RUN, "?") | {"arguments": [], "started": began}
    return Past(path.name, path, meta, None, at_work=False, damage=f"its run.json or report.json cannot be read ({why})")


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8", errors="surrogateescape")) or {}
    except FileNotFoundError:
        return None


def _held(journal: Path) -> bool:
    """Whether the process that writes a journal lives: it holds a lock on it."""
    try:
        with journal.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def undone(root: Path, past: Past) -> dict[str, str]:
    """The items of a run that were put back and not put forth again: item -> the run that did."""
    found: dict[str, str] = {}
    for later in every(root):
        if later.started < past.started:
            break
        if later.meta.get("undoes") == past.run and later.meta["mode"] == "commit":
            again = undone(root, later)
            put_back = (t for t in later.traces().values() if t.outcome == "repaired" and t.id not in again)
            found |= {t.id: later.run for t in put_back}
    return found


def prune(past: Past) -> None:
    """Delete a run's journal for good. Raises GuardError for one in doubt, JournalError when it cannot be done."""
    if past.in_doubt:
        raise GuardError(f"run {past.run} is in doubt and is kept: see 'opsfix history {past.run}'")
    hidden = past.path.with_name(f".{past.run}")
    try:
        past.path.rename(hidden)
        shutil.rmtree(hidden)
    except OSError as e:
        raise JournalError(f"the journal of run {past.run} cannot be deleted ({e.strerror})") from e
