"""The fake does what tests/functional/test_conformance.py sees the real services do."""

import pytest

from tests.conformance import sides
from tests.conformance.cases import CASES, Case
from tests.conformance.owners import OWNERS, FakeOwnerSide
from tests.conformance.sides import FakeSide


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_fake_conforms(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sides, "PATIENCE", 0.0)
    assert case.observe(FakeSide()) == case.expected


@pytest.mark.parametrize("case", OWNERS, ids=lambda case: case.name)
def test_the_fakes_of_the_owners_conform(case: Case) -> None:
    assert case.observe(FakeOwnerSide()) == case.expected  # type: ignore[arg-type]


def test_no_two_cases_share_a_name() -> None:
    assert len({case.name for case in (*CASES, *OWNERS)}) == len(CASES) + len(OWNERS)
