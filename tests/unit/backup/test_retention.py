"""What stays and what goes, over days, months, and clocks that jump."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsfix.backup.retention import Candidate, Policy, decide
from opsfix.errors import UsageError

START = datetime(2026, 1, 1, 2, 10, tzinfo=UTC)


def nights(*days: float, damaged: set[int] | None = None) -> list[Candidate]:
    """One backup for each day given, made in this order."""
    times = [START + timedelta(days=d) for d in days]
    return [
        Candidate(f"{t:%Y%m%dT%H%M%SZ}-{i}", i + 1, t, "a byte is wrong" if i in (damaged or ()) else None)
        for i, t in enumerate(times)
    ]


def kept(candidates: list[Candidate], policy: Policy) -> list[int]:
    """The places of those that stay, in the order in which they were made."""
    places = {c.name: i for i, c in enumerate(candidates)}
    return sorted(places[d.name] for d in decide(candidates, policy) if d.keep)


def test_the_newest_stay() -> None:
    assert kept(nights(*range(10)), Policy(last=3)) == [7, 8, 9]
    assert kept(nights(*range(2)), Policy(last=3)) == [0, 1]


def test_without_a_rule_nothing_goes() -> None:
    assert kept(nights(*range(50)), Policy()) == list(range(50))


@pytest.mark.parametrize("rule", ["last", "days", "daily", "weekly", "monthly"])
@pytest.mark.parametrize("number", [0, -1])
def test_a_rule_that_keeps_nothing_is_refused(rule: str, number: int) -> None:
    with pytest.raises(UsageError, match="would keep nothing"):
        decide(nights(1, 2), Policy(**{rule: number}))


def test_damaged_ones_are_neither_counted_nor_removed() -> None:
    assert kept(nights(*range(6), damaged={4, 5}), Policy(last=2)) == [2, 3, 4, 5]
    assert kept(nights(*range(3), damaged={0, 1, 2}), Policy(last=1)) == [0, 1, 2]


def test_nights_that_failed_make_no_good_one_go() -> None:
    """Thirty nights of failures leave no directory, so there is nothing that could push a good one out."""
    assert kept(nights(*range(5)), Policy(last=30)) == list(range(5))
    assert kept(nights(0, 1, 2, 40), Policy(last=3)) == [1, 2, 3]


def test_age_is_counted_from_the_newest() -> None:
    assert kept(nights(*range(40)), Policy(days=7)) == list(range(32, 40))


def test_after_a_long_gap_nothing_goes_by_age() -> None:
    assert kept(nights(0, 1, 2, 60), Policy(days=30)) == [0, 1, 2, 3]
    assert kept(nights(0, 1, 2, 60, 61), Policy(days=30)) == [3, 4]


def test_the_newest_of_each_day_week_and_month() -> None:
    twice_a_day = nights(*(d / 2 for d in range(20)))
    assert kept(twice_a_day, Policy(daily=3)) == [15, 17, 19]
    assert kept(nights(*range(60)), Policy(weekly=2)) == [52, 59]
    assert kept(nights(*range(90)), Policy(monthly=3)) == [30, 58, 89]


def test_what_any_rule_keeps_stays_with_its_reasons() -> None:
    candidates = nights(*range(60))
    decisions = {d.name: d for d in decide(candidates, Policy(last=1, monthly=2))}
    assert [i for i, c in enumerate(candidates) if decisions[c.name].keep] == [58, 59]
    assert decisions[candidates[59].name].reason == "the newest good one, one of the newest 1, the newest of its month"
    assert decisions[candidates[5].name].reason == "no rule keeps it (last 1, monthly 2)"


def test_a_clock_that_jumps_back_does_not_make_the_new_one_old() -> None:
    assert kept(nights(400, 401, 402, 3, 4), Policy(last=2)) == [3, 4]
    assert 4 in kept(nights(400, 401, 402, 3, 4), Policy(days=1))
    assert kept(nights(400, 401, 3, 4), Policy(daily=2)) == [2, 3]


POLICIES = st.builds(Policy, *[st.none() | st.integers(1, 40)] * 5)
DAYS = st.lists(st.integers(0, 500), max_size=60)


@given(days=DAYS, policy=POLICIES, damaged=st.sets(st.integers(0, 60)))
def test_whatever_the_rules_the_newest_good_one_stays_and_damage_never_goes(
    days: list[int], policy: Policy, damaged: set[int]
) -> None:
    candidates = nights(*days, damaged=damaged)
    decisions = {d.name: d for d in decide(candidates, policy)}
    assert set(decisions) == {c.name for c in candidates}
    assert all(decisions[c.name].keep for c in candidates if c.damage)
    good = [c for c in candidates if not c.damage]
    if good:
        assert decisions[good[-1].name].keep
    if policy.last:
        assert all(decisions[c.name].keep for c in good[-policy.last:])
