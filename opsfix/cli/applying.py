"""A plan carried out: the command that made it runs again, on its items only, and only as it says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from opsfix import plans
from opsfix.engine.way import Approved
from opsfix.errors import UsageError


def run_plan(ctx: click.Context, path: Path, max_age: timedelta, own: Mapping[str, Any]) -> None:
    """Check the plan, then run its command; that ends the process with its exit code."""
    plan = plans.read(path, max_age)
    command = _command(ctx, str(plan["command"]))
    given = {k: _given(k, v) for k, v in plan["parameters"].items()}
    if strange := given.keys() - {p.name for p in command.params}:
        raise UsageError(f"{path} has parameters that '{plan['command']}' has not: {', '.join(sorted(strange))}; make a new plan")
    if not plan["items"]:
        raise UsageError(f"{path} holds nothing to do")
    ctx.obj = plan
    ctx.invoke(command, **{**given, **own, "plan_out": None})


def targets(plan: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of the plan's items."""
    return tuple(item["id"] for item in plan["items"])


def approved(plan: Mapping[str, Any]) -> dict[str, Approved]:
    """What a plan allows, by item."""
    return {item["id"]: Approved(tuple(item["stages"]), tuple(item["steps"])) for item in plan["items"]}


def _given(name: str, value: Any) -> Any:
    if name == "older_than":
        return timedelta(seconds=float(value))
    return tuple(value) if isinstance(value, list) else value


def _command(ctx: click.Context, name: str) -> click.Command:
    """The command that made the plan, one that makes plans."""
    found: click.Command | None = ctx.find_root().command
    for word in name.split():
        found = found.get_command(ctx, word) if isinstance(found, click.Group) else None
    if found is None or all(p.name != "plan_out" for p in found.params):
        raise UsageError(f"the plan is of {name!r}, which makes none: make a new plan")
    return found
