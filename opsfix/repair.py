"""What a repair declares. The engine does the rest."""

from __future__ import annotations

from dataclasses import dataclass

from opsfix.guards import Guard
from opsfix.steps import Step


@dataclass(frozen=True)
class Fallback:
    """The SQL for what the API cannot do: a file of ``sql/`` and the guards that its header repeats.

    ``one_of_many``: it changes the first of several (one attachment), and the next round takes the next.
    ``after_refusal``: False where a service's no means that the facts were wrong, so that the SQL may stand in only
    for a call that cannot be made at all.
    """

    sql: str
    only_if: tuple[Guard, ...]
    one_of_many: bool = False
    after_refusal: bool = True

    @property
    def database(self) -> str:
        """The database that the file is for."""
        return self.sql.rsplit(".", 1)[-1]


@dataclass(frozen=True)
class Repair:
    """One broken state and the way out of it.

    ``when`` tells the state from others and never refuses; ``only_if`` are the guards that must hold before anything
    is sent; ``api`` may be empty where no call can do it; ``api_if`` are further conditions without which the API
    steps are known to be impossible (a dead service), so that only the fallback remains; ``fixed_when`` proves the
    end, and ``enough_when`` what is in order as well after a step was refused. ``symptom`` is the finding's name in
    reports and of the runbook. ``loses`` names what cannot be had back once this repair has let the service go on; every
    plan says it.
    """

    symptom: str
    means: str
    when: tuple[Guard, ...]
    only_if: tuple[Guard, ...] = ()
    api: tuple[Step, ...] = ()
    api_if: tuple[Guard, ...] = ()
    fixed_when: tuple[Guard, ...] = ()
    enough_when: tuple[Guard, ...] = ()
    fallback: Fallback | None = None
    refused: str | None = None
    loses: str = ""
