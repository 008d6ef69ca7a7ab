"""Networks that fail, and people who interfere, at a chosen call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from opsfix.errors import CloudRefused, CloudUnknown

T = TypeVar("T")


@dataclass
class Fault:
    """What happens at the next ``times`` calls (None: always)."""

    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None
    times: int | None = 1


class Faults:
    """Wraps every call of a fake cloud. ``called`` counts changes, for tests that assert that nothing was sent."""

    def __init__(self) -> None:
        self._planned: dict[str, list[Fault]] = {}
        self._lock = threading.Lock()
        self.changes: list[str] = []

    def add(self, call: str, fault: Fault) -> None:
        """Plan a fault for a call, after those that are planned already."""
        self._planned.setdefault(call, []).append(fault)

    def around(self, call: str, do: Callable[[], T], *, change: bool) -> T:
        """Do it, with what was planned for it."""
        with self._lock:
            fault = self._next(call)
            if change:
                self.changes.append(call)
        fault.before()
        result = do()
        fault.after()
        return result

    def _next(self, call: str) -> Fault:
        planned = self._planned.get(call)
        if not planned:
            return Fault()
        fault = planned[0]
        if fault.times is not None:
            fault.times -= 1
            if not fault.times:
                planned.pop(0)
        return fault


def lost() -> None:
    """The answer never came."""
    raise CloudUnknown("timed out")


def refusing(status: int, text: str) -> Callable[[], None]:
    """A definite no."""

    def refuse() -> None:
        raise CloudRefused(status, text)

    return refuse
