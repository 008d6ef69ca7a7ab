"""Two looks a period apart at whatever may be in flight: what is the same both times is not on its way anywhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from opsfix.errors import CloudUnknown

#: Facts by name. ``KIND.mark`` is what must be the same at both looks, None where nothing can be in flight.
Facts = dict[str, Any]
#: Reads facts that are of a moment after the one given (seconds, monotonic clock); None for what nobody knows.
Read = Callable[[float], "Facts | None"]


class Sightings:
    """When each subject of a kind was first seen as it is, and whether it stayed so for ``period`` seconds."""

    def __init__(self, kind: str, period: float):
        self._mark, self._still, self.period = f"{kind}.mark", f"{kind}.still", period
        self._seen: dict[str, tuple[Any, float]] = {}
        self._lock = threading.Lock()

    def __contains__(self, subject_id: str) -> bool:
        return subject_id in self._seen

    def once(self, subject_id: str, read: Read) -> Facts | None:
        """A first look, which the second may follow when the period is over."""
        facts = read(time.monotonic())
        if facts and facts[self._mark]:
            self._first(subject_id, facts[self._mark])
        return facts

    def twice(self, subject_id: str, read: Read, stop: threading.Event) -> Facts | None:
        """The facts, of which ``KIND.still`` tells whether they were the same a period ago; waits for as long as it takes.

        Raises CloudUnknown when ``stop`` is set meanwhile.
        """
        facts = read(time.monotonic())
        if not facts or not facts[self._mark]:
            return facts
        mark = facts[self._mark]
        due = self._first(subject_id, mark) + self.period
        if (wait := due - time.monotonic()) > 0:
            if stop.wait(wait):
                raise CloudUnknown("the run ended before the second look at it")
            facts = read(due) or facts
        return facts | {self._still: facts[self._mark] == mark}

    def _first(self, subject_id: str, mark: Any) -> float:
        """When it was first seen exactly so."""
        with self._lock:
            seen, since = self._seen.get(subject_id, (None, 0.0))
            if seen != mark:
                since = time.monotonic()
                self._seen[subject_id] = (mark, since)
            return since
