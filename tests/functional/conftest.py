"""The rehearsal cloud for the functional tests: brought up once, failing loudly when it does not come up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.functional.cloud import Lab, bystanders


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A running lab in its freshly filled state, with healthy bystanders that no test may change."""
    lab = Lab(tmp_path_factory.mktemp("state"))
    lab.up()
    yield lab
    lab.end()


@pytest.fixture
def cloud(lab: Lab) -> Iterator[Lab]:
    """The lab with everything alive; afterwards the bystanders are as they were, and what was killed is revived."""
    before = bystanders(lab)
    healthy = lab.healthy
    yield lab
    lab.revive_all()
    if lab.healthy is healthy:
        assert bystanders(lab) == before
