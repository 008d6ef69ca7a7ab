"""The runbook says what the command refuses."""

import re

import pytest

from opsfix.forwarding.changes import ADD_IF
from opsfix.guards import Guard
from tests.docs.documents import ROOT, flat


@pytest.mark.parametrize("guard", ADD_IF, ids=lambda g: g.fact)
def test_a_refusal_is_in_the_runbook(guard: Guard) -> None:
    text = flat((ROOT / "runbooks" / "forward.md").read_text())
    assert guard.advice
    assert max(re.split(r"\{\w+\}", guard.advice), key=len).strip() in text
