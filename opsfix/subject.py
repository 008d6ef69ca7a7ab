"""What the engine repairs: anything that can be looked at by its id and stated as facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from opsfix.scene import Scene


@dataclass(frozen=True)
class Look:
    """One look at a subject. ``state`` is what an operator would call it now, in a few words; ``healthy`` is the reason
    of an item with which nothing is wrong. The fact ``cell`` names the cell whose database a fallback for nova takes."""

    id: str
    name: str
    project_id: str
    facts: Mapping[str, Any]
    state: str = ""
    healthy: str = "nothing is wrong with it"


class Subject(Protocol):
    """A kind of resource. ``gone`` are the facts of one that its owner answers 404 for."""

    @property
    def type(self) -> str:
        """The kind's name, which also begins its facts: 'volume'."""

    def look(self, scene: Scene, subject_id: str) -> Look | None:
        """Read the subject and all around it; None for the owner's 404. Raises CloudUnknown."""

    def named(self, scene: Scene, name: str) -> list[tuple[str, str]]:
        """Id and project of each one that has exactly this name. Raises CloudUnknown."""

    def gone(self, subject_id: str) -> Mapping[str, Any]:
        """The facts of a subject that is gone."""
