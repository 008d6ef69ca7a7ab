"""The two clouds that must behave alike: what a case needs to build its state, beyond ports.Cloud."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from opsfix.errors import CloudRefused, CloudUnknown
from opsfix.ports import Cloud
from tests.fakes.cloud import FakeCloud

#: Longer than a service needs to do what it has accepted.
PATIENCE = 60.0


class Side(Protocol):
    """Builds states through the services' own calls."""

    cloud: Cloud

    def volume(self, *, multiattach: bool = False) -> str:
        """A new volume, available."""

    def server(self) -> str:
        """A new server, active."""

    def attach(self, volume: str, server: str) -> str:
        """Attach through nova and wait; returns the attachment's id."""

    def connect(self, attachment: str) -> None:
        """Give the attachment's disk to a host: it has connection_info from now on."""

    def reset(self, volume: str, status: str | None = None, attach_status: str | None = None) -> None:
        """``os-reset_status`` with only the fields given."""

    def reset_server(self, server: str, state: str) -> None:
        """``os-resetState``."""

    def delete_server(self, server: str) -> None:
        """Delete and wait until nova answers 404."""

    def stranger(self) -> str:
        """The id of a server that nova never had."""


def answer(call: Callable[[], object]) -> object:
    """'ok', the HTTP status of a refusal, or 'unknown'."""
    try:
        call()
    except CloudRefused as e:
        return e.status
    except CloudUnknown:
        return "unknown"
    return "ok"


def until(condition: Callable[[], bool]) -> None:
    """Wait for what the services work towards, at most PATIENCE."""
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        time.sleep(0.3)


def settled(side: Side, volume: str, status: str | None) -> str | None:
    """The volume's status once it is the one that the services work towards, or what it is at the deadline."""
    until(lambda: _status(side, volume) == status)
    return _status(side, volume)


def _status(side: Side, volume: str) -> str | None:
    found = side.cloud.volume(volume)
    return found.status if found else None


def state(side: Side, volume: str) -> str:
    """The volume's status and its attachments' in one word: 'in-use attached+reserved'."""
    statuses = sorted(a.status for a in side.cloud.attachments(volume_id=volume))
    return f"{_status(side, volume)} {'+'.join(statuses) or '-'}"


class FakeSide:
    """The fake."""

    def __init__(self) -> None:
        self.cloud = FakeCloud()

    def volume(self, *, multiattach: bool = False) -> str:
        """See Side."""
        return self.cloud.add_volume(multiattach=multiattach)

    def server(self) -> str:
        """See Side."""
        return self.cloud.add_server()

    def attach(self, volume: str, server: str) -> str:
        """See Side."""
        return self.cloud.attach(volume, server)

    def connect(self, attachment: str) -> None:
        """See Side."""
        row = self.cloud.world.attachment(attachment)
        assert row is not None
        row.connected, row.host, row.status = True, "cmp-1", "attaching"
        volume = self.cloud.world.volumes[row.volume_id]
        volume.status = volume.attach_status = "attaching"

    def reset(self, volume: str, status: str | None = None, attach_status: str | None = None) -> None:
        """See Side."""
        self.cloud.cinder.reset_status(volume, status, attach_status)

    def reset_server(self, server: str, state: str) -> None:
        """See Side."""
        self.cloud.set_server(server, vm_state=state, task_state=None)

    def delete_server(self, server: str) -> None:
        """See Side."""
        row = self.cloud.world.servers[server]
        for mapping in row.live:
            self.cloud.cinder.delete_attachment(mapping.attachment_id or "", service_token=True)
        self.cloud.lose_server(server)

    def stranger(self) -> str:
        """See Side."""
        return "5f0b1c1e-0000-4000-8000-000000000000"
