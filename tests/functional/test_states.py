"""Every broken state of the lab is repaired, or refused for the right reason, and nothing beside it changes."""

from __future__ import annotations

import pytest

from tests.functional.cloud import Lab
from tests.functional.states import ALIVE, DEAD, Case


@pytest.mark.parametrize("case", [*ALIVE, *DEAD], ids=str)
def test_state_ends_as_it_must(cloud: Lab, case: Case) -> None:
    made = cloud.broken(case.state)
    volume_id = made["volumes"][0]
    before = cloud.end_of(volume_id)

    ran = cloud.unstick(volume_id, *case.arguments)

    item = ran.item(volume_id)
    assert (item["outcome"], item["finding"]) == (case.outcome, case.finding), item["reason"]
    assert case.says in item["reason"]
    assert ran.code == case.code
    end = cloud.end_of(volume_id)
    assert {k: end[k] for k in case.end or before} == (case.end or before), item["reason"]
    if case.outcome == "repaired":
        again = cloud.unstick(volume_id)
        assert again.code == 4 if case.end == {"status": "deleted"} else again.item(volume_id)["outcome"] == "healthy"
