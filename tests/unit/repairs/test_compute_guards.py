"""Every guard of every stage of a host's purge refuses by itself."""

from __future__ import annotations

from typing import Any

import pytest

from opsfix.engine.plan import plan
from opsfix.guards import Unread
from opsfix.repairs import COMPUTE_PURGE, compute_provider_left
from opsfix.repairs.compute_common import GONE_FOR_GOOD

FINE = {
    "compute.id": "gpu-1", "compute.cells_up": True, "compute.cell_chosen": True, "compute.state": "down", "living.count": 0,
    "compute.stirs": False, "compute.dated": True, "servers.count": 0, "migrations.count": 0, "volumes.count": 0,
    "allocations.unproven": 0, "agents.homeless": 0, "allocations.elsewhere": 0, "compute.idle": True,
}
BROKEN = {
    "compute.cells_up": False, "compute.cell_chosen": False, "compute.state": "up", "living.count": 1, "compute.stirs": True,
    "compute.dated": False, "servers.count": 1, "migrations.count": 1, "volumes.count": 1, "allocations.unproven": 1,
    "agents.homeless": 1, "allocations.elsewhere": 1,
}


def _met(guards: Any) -> dict[str, Any]:
    """Facts for which ``when`` holds."""
    return {g.fact: g.value if g.relation == "is" else 1 for g in guards}


@pytest.mark.parametrize("repair", COMPUTE_PURGE, ids=lambda r: f"{r.symptom}: {r.means}")
def test_every_guard_of_every_stage_refuses(repair: Any) -> None:
    facts = FINE | _met(repair.when)
    assert plan("compute", (repair,), facts, check_age=True).refusal is None
    own = (compute_provider_left.NOT_USED,) if repair is compute_provider_left.REPAIR else ()
    assert repair.only_if == (*GONE_FOR_GOOD, *own)
    for guard in repair.only_if:
        for value in (BROKEN[guard.fact], Unread("a test")):
            refusal = plan("compute", (repair,), facts | {guard.fact: value}, check_age=True).refusal
            assert refusal, guard
            assert "{" not in refusal
