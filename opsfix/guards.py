"""Guards as data: a fact, a relation and a value are precondition, postcondition and sentence in one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Unread:
    """A fact that could not be read, and why. It satisfies no guard, whatever the relation."""

    reason: str

    def __str__(self) -> str:
        return f"not known ({self.reason})"


_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "is": lambda seen, value: bool(seen == value),
    "is not": lambda seen, value: bool(seen != value),
    "is one of": lambda seen, value: seen in value,
    "is none of": lambda seen, value: seen not in value,
}


@dataclass(frozen=True)
class Guard:
    """``fact relation value``.

    ``advice`` is what an operator reads when the guard refuses: what stands in the way and what to do next; it may
    name facts in braces. ``in_sql`` marks a guard that the WHERE of the repair's SQL file enforces as well.
    """

    fact: str
    relation: str
    value: Any
    advice: str = ""
    in_sql: bool = False

    def holds(self, facts: Facts) -> bool:
        """Whether the fact was read and stands in the relation to the value."""
        seen = facts.get(self.fact, Unread("no such fact"))
        return not isinstance(seen, Unread) and _HOLDS[self.relation](seen, self.value)

    @property
    def sentence(self) -> str:
        """The guard in words, as SQL headers and reports carry it."""
        if isinstance(self.value, tuple):
            return f"{self.fact} {self.relation} {', '.join(map(str, self.value))}"
        return f"{self.fact} {self.relation} {'none' if self.value is None else self.value}"

    def refusal(self, facts: Facts) -> str:
        """One sentence: why the guard does not let this pass, and what to do next."""
        seen = facts.get(self.fact)
        if isinstance(seen, Unread):
            return f"{self.fact} is {seen}"
        if self.advice:
            return said(self.advice, facts)
        return f"{self.fact} is {seen}, and the repair holds only where {self.sentence}"


class _Said(dict[str, Any]):
    """Facts for a sentence: ``{server_host}`` reads the fact ``server.host``."""

    def __init__(self, facts: Facts):
        super().__init__({name.replace(".", "_"): value for name, value in facts.items()})

    def __missing__(self, key: str) -> str:
        return "?"


def said(text: str, facts: Facts) -> str:
    """A sentence with the facts that it names in braces."""
    return text.format_map(_Said(facts))


def is_(fact: str, value: Any, advice: str = "", *, in_sql: bool = False) -> Guard:
    """The fact equals the value."""
    return Guard(fact, "is", value, advice, in_sql)


def is_not(fact: str, value: Any, advice: str = "", *, in_sql: bool = False) -> Guard:
    """The fact was read and does not equal the value."""
    return Guard(fact, "is not", value, advice, in_sql)


def one_of(fact: str, *values: Any, advice: str = "", in_sql: bool = False) -> Guard:
    """The fact is among the values."""
    return Guard(fact, "is one of", values, advice, in_sql)


def none_of(fact: str, *values: Any, advice: str = "", in_sql: bool = False) -> Guard:
    """The fact was read and is not among the values."""
    return Guard(fact, "is none of", values, advice, in_sql)


def enforced(guard: Guard) -> Guard:
    """The same guard where the WHERE of an SQL file enforces it too."""
    return replace(guard, in_sql=True)


def all_hold(guards: tuple[Guard, ...], facts: Facts) -> bool:
    """Whether every guard holds."""
    return all(guard.holds(facts) for guard in guards)


def first_failing(guards: tuple[Guard, ...], facts: Facts) -> Guard | None:
    """The first guard that does not hold, None where all do."""
    return next((guard for guard in guards if not guard.holds(facts)), None)
