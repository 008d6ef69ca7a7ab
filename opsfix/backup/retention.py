"""Which backups are kept and which go: a decision with a reason for each, made before anything is removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from opsfix.errors import UsageError


@dataclass(frozen=True)
class Candidate:
    """A backup as rotation sees it.

    ``sequence`` counts up with each backup of a directory, so that the order holds when a clock does not; ``damage``
    says what is wrong with it, None for a good one.
    """

    name: str
    sequence: int
    started: datetime
    damage: str | None = None


@dataclass(frozen=True)
class Policy:
    """How many to keep; None is no rule. What any rule keeps is kept."""

    last: int | None = None
    days: int | None = None
    daily: int | None = None
    weekly: int | None = None
    monthly: int | None = None

    def __bool__(self) -> bool:
        return any(n is not None for n in (self.last, self.days, self.daily, self.weekly, self.monthly))


@dataclass(frozen=True)
class Decision:
    """What becomes of a backup, and why."""

    name: str
    keep: bool
    reason: str


#: rule -> what two backups of one period have in common
_PERIODS: dict[str, Callable[[datetime], object]] = {
    "daily": lambda t: t.date(),
    "weekly": lambda t: t.isocalendar()[:2],
    "monthly": lambda t: (t.year, t.month),
}
_WORDS = {"daily": "day", "weekly": "week", "monthly": "month"}


def decide(candidates: Sequence[Candidate], policy: Policy) -> list[Decision]:
    """The decisions, newest first. Raises UsageError for a policy that keeps nothing.

    A damaged backup is neither counted nor removed: a person looks at it. The newest good one always stays.
    """
    for rule, number in vars(policy).items():
        if number is not None and number < 1:
            raise UsageError(f"a rotation that keeps {number} ({rule}) would keep nothing: it must be 1 or more")
    ordered = sorted(candidates, key=lambda c: c.sequence, reverse=True)
    good = [c for c in ordered if c.damage is None]
    reasons = _kept(good, policy) if policy else {c.name: ["no rule says what may go"] for c in good}
    return [_decision(c, reasons.get(c.name), policy) for c in ordered]


def _decision(c: Candidate, reasons: list[str] | None, policy: Policy) -> Decision:
    if c.damage is not None:
        return Decision(c.name, keep=True, reason=f"damaged, not counted ({c.damage}): look at it, then remove it by hand")
    if reasons:
        return Decision(c.name, keep=True, reason=", ".join(reasons))
    rules = ", ".join(f"{rule} {n}" for rule, n in vars(policy).items() if n is not None)
    return Decision(c.name, keep=False, reason=f"no rule keeps it ({rules})")


def _kept(good: Sequence[Candidate], policy: Policy) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for name, reason in _reasons(good, policy):
        reasons.setdefault(name, []).append(reason)
    return reasons


def _reasons(good: Sequence[Candidate], policy: Policy) -> Iterator[tuple[str, str]]:
    if good:
        yield good[0].name, "the newest good one"
    for c in good[: policy.last or 0]:
        yield c.name, f"one of the newest {policy.last}"
    if policy.days is not None:
        yield from _young(good, timedelta(days=policy.days))
    for rule, period in _PERIODS.items():
        seen: set[object] = set()
        for c in good:
            if period(c.started) not in seen and len(seen) < (getattr(policy, rule) or 0):
                seen.add(period(c.started))
                yield c.name, f"the newest of its {_WORDS[rule]}"


def _young(good: Sequence[Candidate], span: timedelta) -> Iterator[tuple[str, str]]:
    """By age since the newest one. A gap as long as the span is more likely a wrong clock, or a long illness, than a
    reason to remove all that there is: then nothing goes by age."""
    if len(good) > 1 and good[0].started - good[1].started > span:
        for c in good:
            yield c.name, f"none was made in the {span.days} days before the newest: nothing goes by age this time"
        return
    for c in good:
        if c.started >= good[0].started - span:
            yield c.name, f"not older than {span.days} days"
