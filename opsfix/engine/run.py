"""One run over many subjects, several at a time: look, plan, act, verify, fall back, verify, until each has its outcome."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from opsfix.engine.plan import Planned, plan
from opsfix.engine.way import Approved, Finding, Way
from opsfix.errors import CloudRefused, CloudUnknown, DatabaseUnknown, ExitCode, JournalError, OpsfixError
from opsfix.model import Item, Mode, Outcome
from opsfix.ports import Recorder
from opsfix.repair import Repair
from opsfix.scene import Scene
from opsfix.subject import Look, Subject

T = TypeVar("T")
INTERRUPTED = "interrupted before anything was changed"


@dataclass
class Run:
    """What one command does. ``progress`` hears how many subjects of how many are done; ``staged``: a subject passes
    through all repairs that fit it, one after the other, so that a dry run shows every one of them. ``approved``: only
    that is done, by item. ``dangers`` are the warnings of what is not repaired, each once: a subject's fact ``danger``
    says what nobody may do meanwhile, ``remark`` what else its reader wants to know."""

    subject: Subject
    repairs: tuple[Repair, ...]
    scene: Scene
    mode: Mode
    recorder: Callable[[str], Recorder]
    workers: int = 8
    progress: Callable[[str, int, int], None] = lambda *_: None
    staged: bool = False
    approved: Mapping[str, Approved] | None = None
    raised: list[ExitCode] = field(default_factory=list)
    dangers: dict[str, None] = field(default_factory=dict)

    @property
    def stop(self) -> threading.Event:
        """Set by an interrupt: nothing more is begun, and what waits goes no further."""
        return self.scene.stop

    @property
    def ended(self) -> bool:
        """Whether nothing more is begun: after an interrupt, and after what concerns the whole run."""
        return self.stop.is_set() or bool(self.raised)

    def find(self, ids: Iterable[str], *, named: bool) -> list[Finding]:
        """Look at each; healthy ones, and those younger than --older-than, are left out unless they were named."""
        return [f for f in self._each("looking", sorted(ids), self._find) if self._counts(f, named=named)]

    @staticmethod
    def _counts(finding: Finding, *, named: bool) -> bool:
        planned = finding.planned
        return named or planned is None or bool(planned.repair and not planned.young)

    def find_and_repair(self, ids: Iterable[str], *, named: bool) -> list[Item]:
        """The same, each repaired right after the look at it: where no limit asks for all findings first."""
        inputs = sorted(ids)
        looked: dict[str, Item | None] = {}

        def one(subject_id: str) -> None:
            finding = self._find(subject_id)
            looked[subject_id] = self._repair(finding) if self._counts(finding, named=named) else None

        for _ in self._each("repairing", inputs, one):
            pass
        unseen = [Finding(i, None, Planned(None)) for i in inputs if i not in looked] if named else []
        return [item for i in inputs if (item := looked.get(i))] + self.refuse(unseen, INTERRUPTED)

    def _find(self, subject_id: str) -> Finding:
        try:
            look = self.subject.look(self.scene, subject_id)
        except (CloudUnknown, CloudRefused, DatabaseUnknown) as e:
            return Finding(subject_id, None, None, str(e))
        except OpsfixError as e:
            return Finding(subject_id, None, None, self._end(e.exit_code, str(e)))
        except Exception as e:
            return Finding(subject_id, None, None, self._defect(e))
        if look is None:
            return Finding(subject_id, None, Planned(None))
        return Finding(subject_id, look, self.planned(look, first=True))

    def planned(self, look: Look, *, first: bool) -> Planned:
        """The first repair that fits what was seen; its age counts at the ``first`` look."""
        return plan(self.subject.type, self.repairs, look.facts, check_age=first)

    def repair(self, findings: Iterable[Finding]) -> list[Item]:
        """Bring each finding to its outcome; those that an interrupt left untouched are refused."""
        inputs = list(findings)
        items = list(self._each("repairing", inputs, self._repair))
        begun = {item.id for item in items}
        return items + self.refuse((f for f in inputs if f.id not in begun), INTERRUPTED)

    def refuse(self, findings: Iterable[Finding], reason: str) -> list[Item]:
        """Refuse every finding for the same reason, nothing changed."""
        return [Way(self, f).item(Outcome.REFUSED, f.problem or reason) for f in findings]

    def _repair(self, finding: Finding) -> Item:
        way = Way(self, finding)
        try:
            outcome, reason = way.go()
        except (CloudUnknown, CloudRefused, DatabaseUnknown) as e:
            outcome, reason = Outcome.UNKNOWN, f"its state cannot be read: {e}"
        except OpsfixError as e:
            outcome, reason = way.cut_short, self._end(e.exit_code, str(e))
        except Exception as e:
            outcome, reason = way.cut_short, self._defect(e)
        item = way.item(outcome, self._and_more(way, outcome, reason))
        with suppress(JournalError):
            way.record("item-end", outcome=str(outcome), by=item.by, reason=item.reason, finding=item.finding)
        return item

    def _and_more(self, way: Way, outcome: Outcome, reason: str) -> str:
        """The reason, with what the facts add to it while the subject is as it was."""
        if outcome in (Outcome.REPAIRED, Outcome.HEALTHY):
            return reason
        if danger := way.facts.get("danger"):
            self.dangers[danger] = None
        return "; ".join(filter(None, (reason, way.facts.get("remark"), way.facts.get("danger"))))

    def _end(self, code: ExitCode, text: str) -> str:
        """What ends the whole run: nothing more is begun, and the report is still written."""
        self.raised.append(code)
        return text

    def _defect(self, error: Exception) -> str:
        logging.getLogger("opsfix").debug("a defect", exc_info=error)
        return self._end(ExitCode.BUG, f"a defect of opsfix: {type(error).__name__}: {error}")

    def _each(self, what: str, inputs: list[Any], do: Callable[[Any], T]) -> Iterator[T]:
        """Run ``do`` for each, ``workers`` at a time, results in the inputs' order.

        On an interrupt, what was not begun is dropped; what was begun comes to its end.
        """
        done = 0
        with ThreadPoolExecutor(self.workers, thread_name_prefix="opsfix") as pool:
            waiting = iter(inputs)
            running: dict[Future[T], int] = {}
            results: dict[int, T] = {}
            todo = enumerate(waiting)
            next_out = 0
            while True:
                while len(running) < self.workers and not self.ended and (job := next(todo, None)):
                    running[pool.submit(do, job[1])] = job[0]
                if not running:
                    return
                for future in wait(running, return_when="FIRST_COMPLETED").done:
                    results[running.pop(future)] = future.result()
                    done += 1
                self.progress(what, done, len(inputs))
                while next_out in results:
                    yield results.pop(next_out)
                    next_out += 1
