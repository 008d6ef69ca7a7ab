"""Which repair fits a subject, and whether its guards let it pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opsfix.guards import all_hold, first_failing
from opsfix.repair import Repair


@dataclass(frozen=True)
class Planned:
    """The repair that fits, None for a healthy subject; ``refusal`` is why it may not be tried; ``young``: because
    the subject changed only a moment ago."""

    repair: Repair | None
    refusal: str | None = None
    young: bool = False


def plan(kind: str, repairs: tuple[Repair, ...], facts: Mapping[str, Any], *, check_age: bool) -> Planned:
    """The first repair whose state the facts show. The age counts only until opsfix itself has changed something."""
    repair = next((r for r in repairs if all_hold(r.when, facts)), None)
    if repair is None:
        return Planned(None)
    if check_age and facts.get(f"{kind}.idle") is not True:
        changed = facts.get(f"{kind}.changed_at")
        return Planned(repair, f"it changed at {changed}, less than --older-than ago, and may still be at work", young=True)
    failing = first_failing(repair.only_if, facts)
    return Planned(repair, failing.refusal(facts) if failing else None)
