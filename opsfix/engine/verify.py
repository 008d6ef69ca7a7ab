"""Reads the real state again: a 202 is no proof."""

from __future__ import annotations

import threading
import time

from opsfix.guards import all_hold
from opsfix.repair import Repair
from opsfix.scene import Scene
from opsfix.subject import Look, Subject


def verify(
    subject: Subject, scene: Scene, subject_id: str, repair: Repair, patience: float, stop: threading.Event
) -> tuple[bool, Look | None]:
    """Poll until ``fixed_when`` holds or ``patience`` (seconds) is over; returns whether it held, and the last look
    (None for a subject that is gone).

    Raises CloudUnknown when the last look failed.
    """
    until = time.monotonic() + patience
    pause = 0.1
    while True:
        look = subject.look(scene, subject_id)
        facts = look.facts if look else subject.gone(subject_id)
        if all_hold(repair.fixed_when, facts):
            return True, look
        if stop.wait(min(pause, max(0.0, until - time.monotonic()))) or time.monotonic() >= until:
            return False, look
        pause = min(pause * 1.6, 2.0)
