"""What every fallback of ``sql/`` must do and must refuse: one module a file, named as the file without its database.

A module's ``CASE`` fills a database with the state that the repair is for and with bystanders that must not be
touched, names variants of it that are repaired as well, and breaks each guard alone.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from tests.sql.world import World

Step = Callable[[World], None]


@dataclass(frozen=True)
class Flip:
    """One change to the healthy case after which the fallback must refuse.

    ``guard`` is the header's sentence that it breaks, None for a condition that the header does not name: the rows
    are no longer those that were read.
    """

    name: str
    guard: str | None
    do: Step


@dataclass(frozen=True)
class Case:
    """A fallback's tests. ``seed`` fills the world, its parameters and the expected changes; a variant, after it,
    alters them. ``release`` is one on which each condition can be broken."""

    file: str
    tables: tuple[str, ...]
    seed: Step
    flips: tuple[Flip, ...]
    variants: Mapping[str, Step] = field(default_factory=dict)
    release: str = "2026.2"

    @property
    def database(self) -> str:
        """The database that the file is for."""
        return self.file.rsplit(".", 1)[-1]


@cache
def every() -> dict[str, Case]:
    """The cases by file."""
    modules = [importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]
    cases = [module.CASE for module in modules if hasattr(module, "CASE")]
    return {case.file: case for case in cases}
