"""What holds for every test."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no bug; and a CI run has to fail for the commit, not for the dice.
settings.register_profile("developer", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "developer")

UNIT = Path(__file__).parent / "unit"


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit test that opens a connection has missed a seam."""
    if UNIT not in request.path.parents:
        return

    def refuse(_: socket.socket, address: object) -> None:
        pytest.fail(f"a unit test tried to connect to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(autouse=True)
def _no_cloud_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials and settings of whoever runs the tests stay outside."""
    for name in list(os.environ):
        if name.startswith("OS_") or (name.startswith("OPSFIX_") and not name.startswith("OPSFIX_TEST_")):
            monkeypatch.delenv(name)
