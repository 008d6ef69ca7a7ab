"""One finding's way to its outcome: round after round of look, act, verify and fall back, as its repairs say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from opsfix.engine.act import act, show
from opsfix.engine.fallback import Fell, fall_back
from opsfix.engine.plan import Planned, plan
from opsfix.engine.verify import verify
from opsfix.guards import Unread, all_hold, first_failing, said
from opsfix.model import Item, Mode, Outcome, Result, StepReport
from opsfix.repair import Repair
from opsfix.secrets import plain
from opsfix.steps import Course
from opsfix.subject import Look

if TYPE_CHECKING:
    from opsfix.engine.run import Run

#: Seconds for which a look is taken for the present.
FRESH = 2.0
#: Times that one subject may change its state under repair (a volume with as many stale attachments, or a host with as
#: many nodes, needs one each).
ROUNDS = 128
TAKEN = "somebody began to use it while it was being repaired: look at it, and run the command again"
#: Seconds that a change which every service confirmed may take to show.
SETTLES = 5.0


@dataclass(frozen=True)
class Finding:
    """A subject that is not healthy, with the first look at it and when that was (seconds, monotonic clock);
    ``problem`` when it could not be read."""

    id: str
    look: Look | None
    planned: Planned | None
    problem: str | None = None
    seen: float = field(default_factory=monotonic)


@dataclass(frozen=True)
class Approved:
    """What a plan allows for one item: the findings that it is for, and every step as a dry run's JSON told it."""

    stages: tuple[str, ...]
    steps: tuple[Mapping[str, Any], ...]


class Way:
    """One finding's way to its outcome."""

    def __init__(self, run: Run, finding: Finding):
        self.run, self.finding = run, finding
        self.record = run.recorder(finding.id)
        self.steps: list[StepReport] = []
        self.facts: Mapping[str, Any] = finding.look.facts if finding.look else {}
        self.symptom = finding.planned.repair.symptom if finding.planned and finding.planned.repair else None
        self.changed = self.sent = False
        self.known: set[str] = set()
        self.stages: tuple[str, ...] = ()

    @property
    def cut_short(self) -> Outcome:
        """The outcome of an item in the middle of which the run ends."""
        return Outcome.UNKNOWN if self.sent else Outcome.REFUSED

    def _taken(self, facts: Mapping[str, Any]) -> bool:
        """Whether something has appeared that neither the first look nor opsfix knows: others use it already."""
        return self.changed and not set(facts.get("identities", ())) <= self.known

    def go(self) -> tuple[Outcome, str]:
        """Round after round, because one repair may uncover the next (nova's side, then cinder's)."""
        run = self.run
        if self.finding.problem:
            return Outcome.UNKNOWN, f"its state cannot be read: {self.finding.problem}"
        fresh = monotonic() - self.finding.seen < FRESH
        look = self.finding.look if fresh else run.subject.look(run.scene, self.finding.id)
        self.facts = look.facts if look else {}
        self.known = set(self.facts.get("identities", ()))
        for _ in range(ROUNDS):
            if look is None:
                return self._absent()
            planned = run.planned(look, first=not self.changed)
            if planned.repair is None:
                return self._healthy(look)
            if self._taken(look.facts):
                return Outcome.FAILED, TAKEN
            self.symptom = self.symptom or planned.repair.symptom
            if planned.refusal:
                return Outcome.REFUSED, planned.refusal
            unplanned = self._unplanned(planned.repair, look)
            if unplanned:
                return unplanned
            self.record("plan", repair=planned.repair.symptom, means=planned.repair.means, facts=dict(look.facts),
                        type=run.subject.type, name=look.name)
            ended, look = self._round(planned.repair, look)
            if ended:
                return ended
        return Outcome.FAILED, f"it was not healthy after {ROUNDS} rounds"

    def _unplanned(self, repair: Repair, look: Look) -> tuple[Outcome, str] | None:
        """Why a plan does not allow this repair now; None where it does, or where there is none."""
        if self.run.approved is None:
            return None
        approved = self.run.approved[self.finding.id]
        if self.changed:
            if repair.symptom in approved.stages:
                return None
            return Outcome.NEEDS_COMMIT, f"the plan is carried out; what is left was not in it ({repair.symptom}): plan again"
        now = Way(self.run, self.finding)
        outcome, reason = now._shown(repair, look.facts)
        if outcome is Outcome.REFUSED:
            return outcome, reason
        rest = iter(approved.steps)  # an earlier part of the plan may be done already
        if not all(step in rest for step in json.loads(json.dumps([s.as_dict() for s in now.steps]))):
            return Outcome.REFUSED, "it would no longer be repaired as the plan says: make a new plan and compare"
        return None

    def _absent(self) -> tuple[Outcome, str]:
        if self.changed:
            return Outcome.REPAIRED, "it is gone, as its owner asked"
        return Outcome.FAILED, f"no {self.run.subject.type} with this id was found"

    def _healthy(self, look: Look) -> tuple[Outcome, str]:
        if self.changed:
            refused = next((s.detail for s in self.steps if s.result is Result.REFUSED and s.kind == "api"), None)
            note = f", though one step was refused ({refused})" if refused and not self._by_sql() else ""
            return Outcome.REPAIRED, f"read again: {look.state}{note}"
        return Outcome.HEALTHY, look.healthy

    def _by_sql(self) -> bool:
        return any(s.kind == "sql" and s.result is Result.DONE for s in self.steps)

    @property
    def by(self) -> str | None:
        """What changed the cloud last: 'sql' where a fallback was committed."""
        if not self.changed:
            return None
        return "sql" if self._by_sql() else "api"

    def item(self, outcome: Outcome, reason: str) -> Item:
        """What the report tells of it."""
        look = self.finding.look
        return Item(
            type=self.run.subject.type,
            id=self.finding.id,
            name=look.name if look else "",
            project_id=look.project_id if look else "",
            finding=self.symptom,
            outcome=outcome,
            by=self.by if outcome is Outcome.REPAIRED else None,
            reason=reason,
            facts={k: plain(v) for k, v in self.facts.items() if not isinstance(v, Unread)},
            steps=tuple(self.steps),
            stages=self.stages,
        )

    def _round(self, repair: Repair, look: Look) -> tuple[tuple[Outcome, str] | None, Look | None]:
        """One repair: how it ended, None when the next round shall look for more; and the last look."""
        facts = look.facts
        if self.run.mode is Mode.DRY_RUN:
            return self._shown(repair, facts), look
        impossible = first_failing(repair.api_if, facts)
        ended, refusal = Result.REFUSED, repair.means
        if impossible is not None:
            refusal = impossible.refusal(facts)
            self.steps += [StepReport("api", s.what, Result.SKIPPED, refusal) for s in show(repair, facts)]
        elif repair.api:
            sent = len(self.steps)
            ended = self._api(repair, facts)
            refusal = next((s.detail for s in self.steps[sent:] if s.result is ended), "")
        fixed, after = self._verify(repair, ended)
        if fixed:
            self.changed = True
            return None, after
        if repair.fallback and repair.api and impossible is None and not repair.fallback.after_refusal:
            repair = replace(repair, fallback=None)
        return self._not_fixed(repair, after, ended, refusal)

    def _facts(self, look: Look | None) -> Mapping[str, Any]:
        return look.facts if look else self.run.subject.gone(self.finding.id)

    def _shown(self, first: Repair, facts: Mapping[str, Any]) -> tuple[Outcome, str]:
        """The plan: of the one repair, or of all that will follow."""
        stages = [r for r in self.run.repairs if all_hold(r.when, facts)] if self.run.staged else [first]
        self.stages = tuple(r.symptom for r in stages)
        refusal = next((f for r in stages if (f := first_failing(r.only_if, facts))), None)
        if refusal:
            return Outcome.REFUSED, refusal.refusal(facts)
        shown = [self._stage(r, facts) for r in stages]
        outcome, reason = next((s for s in shown if s[0] is Outcome.REFUSED), shown[0])
        return outcome, reason if len(shown) == 1 else f"in {len(shown)} stages: {reason}"

    def _stage(self, repair: Repair, facts: Mapping[str, Any]) -> tuple[Outcome, str]:
        """The API steps of one repair, and the SQL where it may come to that."""
        callable_ = bool(repair.api) and all_hold(repair.api_if, facts)
        if callable_:
            self.steps += show(repair, facts)
        fell = Fell([], Outcome.REFUSED, repair.means)
        if repair.fallback and (not callable_ or repair.fallback.after_refusal):
            fell = fall_back(repair.fallback, facts, self.run.scene, Mode.DRY_RUN, self.record)
            self.steps += fell.steps
        if callable_:
            return Outcome.NEEDS_COMMIT, f"{said(repair.means, facts)}; repeat without --dry-run"
        return fell.outcome or Outcome.NEEDS_COMMIT, _with_loss(repair, facts, fell)

    def _api(self, repair: Repair, facts: Mapping[str, Any]) -> Result:
        patience = self.run.scene.deadline
        course = Course(monotonic() + patience, self.run.stop, patience=patience)
        try:
            reports, ended = act(repair, facts, self.run.scene.cloud, course, self.record)
        finally:
            self.sent = self.sent or course.sent
        self.steps += reports
        self.known |= set(course.made.values())
        self.changed = self.changed or any(r.result in (Result.DONE, Result.UNKNOWN) for r in reports)
        return ended

    def _verify(self, repair: Repair, ended: Result) -> tuple[bool, Look | None]:
        patience = {Result.UNKNOWN: self.run.scene.deadline, Result.DONE: SETTLES}.get(ended, 0.0)
        return verify(self.run.subject, self.run.scene, self.finding.id, repair, patience, self.run.stop)

    def _not_fixed(
        self, repair: Repair, look: Look | None, ended: Result, refusal: str
    ) -> tuple[tuple[Outcome, str] | None, Look | None]:
        facts = self._facts(look)
        verdict = self._verdict(repair, facts, ended, refusal)
        if verdict is not None or repair.fallback is None or ended is not Result.REFUSED:
            return verdict, look
        ended_by_sql, last = self._sql(repair, facts)
        if repair.api and ended_by_sql and ended_by_sql[0] is Outcome.REFUSED:
            return (Outcome.REFUSED, f"refused by the service ({refusal}); {ended_by_sql[1]}"), last
        return ended_by_sql, last

    def _verdict(
        self, repair: Repair, facts: Mapping[str, Any], ended: Result, refusal: str
    ) -> tuple[Outcome, str] | None:
        """Why it ends here; None where it goes on, with the fallback or because enough was done."""
        if ended is Result.UNKNOWN:
            return Outcome.UNKNOWN, f"whether it took effect is not known: {refusal}"
        if self.run.stop.is_set() and ended is Result.DONE:
            return Outcome.UNKNOWN, "interrupted before the end could be seen"
        if repair.refused:
            return Outcome.REFUSED, said(repair.refused, facts)
        settled = plan(self.run.subject.type, self.run.repairs, facts, check_age=False).repair is None
        if ended is Result.DONE:
            if settled and self._taken(facts):
                return None
            return Outcome.FAILED, f"every call was accepted, and yet {_unmet(repair, facts)}"
        if repair.fallback is None:
            enough = self.changed and repair.enough_when and all_hold(repair.enough_when, facts)
            if enough or (settled and not self.changed):
                return None
            return Outcome.FAILED, f"refused by the service: {refusal}"
        return None

    def _sql(self, repair: Repair, facts: Mapping[str, Any]) -> tuple[tuple[Outcome, str] | None, Look | None]:
        assert repair.fallback is not None
        planned = plan(self.run.subject.type, self.run.repairs, facts, check_age=not self.changed)
        if planned.repair is None or planned.repair.symptom != repair.symptom or planned.refusal:
            reason = planned.refusal or "it changed while it was being repaired: run the command again"
            return (Outcome.REFUSED, reason), None
        fell: Fell = fall_back(repair.fallback, facts, self.run.scene, self.run.mode, self.record)
        self.steps += fell.steps
        if fell.outcome is not None:
            return (fell.outcome, _with_loss(repair, facts, fell)), None
        self.changed = True
        fixed, look = self._verify(repair, Result.DONE if not repair.fallback.one_of_many else Result.REFUSED)
        if fixed or repair.fallback.one_of_many:
            return None, look
        return (Outcome.FAILED, f"the SQL was committed, and yet {_unmet(repair, self._facts(look))}"), look


def _with_loss(repair: Repair, facts: Mapping[str, Any], fell: Fell) -> str:
    """Why the SQL was only shown, and what would go for good; nothing goes where it is refused."""
    planned = repair.loses and fell.outcome is Outcome.NEEDS_COMMIT
    return f"{said(repair.loses, facts)}; {fell.reason}" if planned else fell.reason


def _unmet(repair: Repair, facts: Mapping[str, Any]) -> str:
    failing = first_failing(repair.fixed_when, facts)
    if failing is None:
        return "it is not in order"
    return said(failing.advice, facts) if failing.advice else f"{failing.fact} is {facts.get(failing.fact)}"
