"""Guards: what satisfies them, and what they say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsfix.guards import Unread, all_hold, first_failing, is_, is_not, none_of, one_of, said

MAKERS = (is_, is_not, one_of, none_of)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.text())


@pytest.mark.parametrize(
    ("guard", "seen", "holds"),
    [
        (is_("f", 1), 1, True), (is_("f", 1), 2, False), (is_("f", None), None, True),
        (is_not("f", 1), 2, True), (is_not("f", 1), 1, False), (is_not("f", None), None, False),
        (one_of("f", "a", "b"), "b", True), (one_of("f", "a", "b"), "c", False), (one_of("f", "a"), None, False),
        (none_of("f", "a", "b"), "c", True), (none_of("f", "a", "b"), "a", False), (none_of("f", "a"), None, True),
    ],
)
def test_relations(guard: object, seen: object, holds: bool) -> None:
    assert guard.holds({"f": seen}) is holds  # type: ignore[attr-defined]


@pytest.mark.parametrize("make", MAKERS)
@given(value=VALUES)
def test_what_could_not_be_read_satisfies_nothing(make: object, value: object) -> None:
    guard = make("f", value)  # type: ignore[operator]
    assert not guard.holds({"f": Unread("timed out")})
    assert not guard.holds({})


@given(value=VALUES, seen=VALUES)
def test_a_relation_and_its_opposite_never_both_hold(value: object, seen: object) -> None:
    facts = {"f": seen}
    assert is_("f", value).holds(facts) != is_not("f", value).holds(facts)
    assert one_of("f", value).holds(facts) != none_of("f", value).holds(facts)


@pytest.mark.parametrize(
    ("guard", "sentence"),
    [
        (is_("volume.migration", "none"), "volume.migration is none"),
        (is_("server.task_state", None), "server.task_state is none"),
        (is_("mapping.root", False), "mapping.root is False"),
        (is_not("stale.attachment", None), "stale.attachment is not none"),
        (one_of("volume.status", "in-use", "available"), "volume.status is one of in-use, available"),
        (none_of("volume.status", "uploading"), "volume.status is none of uploading"),
    ],
)
def test_sentences(guard: object, sentence: str) -> None:
    assert guard.sentence == sentence  # type: ignore[attr-defined]


def test_a_refusal_says_what_it_saw() -> None:
    assert is_("a.b", 1).refusal({"a.b": 2}) == "a.b is 2, and the repair holds only where a.b is 1"


def test_a_refusal_gives_the_advice_with_the_facts() -> None:
    guard = is_("server.host_state", "up", "host {server_host} is {server_host_state}: see {no_such_fact}")
    facts = {"server.host_state": "down", "server.host": "cmp-1"}
    assert guard.refusal(facts) == "host cmp-1 is down: see ?"


def test_the_refusal_of_what_could_not_be_read_says_why() -> None:
    assert is_("f", 1, "advice").refusal({"f": Unread("no database")}) == "f is not known (no database)"


def test_braces_in_facts_are_data() -> None:
    assert said("{server_name}", {"server.name": "{0} {x} %s"}) == "{0} {x} %s"


def test_all_and_first() -> None:
    guards = (is_("a", 1), is_("b", 2), is_("c", 3))
    assert all_hold(guards, {"a": 1, "b": 2, "c": 3})
    assert first_failing(guards, {"a": 1, "b": 2, "c": 3}) is None
    assert first_failing(guards, {"a": 1, "b": 0, "c": 0}) is guards[1]
    assert all_hold((), {})
