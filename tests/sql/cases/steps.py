"""Steps that alter a seeded world."""

from __future__ import annotations

from typing import Any

from tests.sql.cases import Step


def meanwhile(name: str, **columns: Any) -> Step:
    """Somebody changed a row since it was read."""
    return lambda w: w.change(name, **columns)


def named(**values: Any) -> Step:
    """The file runs with other parameters than those read."""
    return lambda w: w.params.update(values)


def of_row(parameter: str, name: str, column: str = "id") -> Step:
    """A parameter names another row."""
    return lambda w: w.params.update({parameter: w[name][column]})


def seen(name: str, column: str, value: Any, parameter: str) -> Step:
    """The row has this value, and had it when it was read."""

    def step(w: Any) -> None:
        w.change(name, **{column: value})
        w.params[parameter] = value

    return step


def without(*names: str) -> Step:
    """There never were these rows."""

    def step(w: Any) -> None:
        for name in names:
            w.remove(name)
            w.expect_untouched(name)

    return step
