"""What the fake cinder and the fake nova share: their rows, who really holds which disk, and time."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from time import monotonic

from tests.fakes.rows import AttachmentRow, MappingRow, MigrationRow, ServerRow, ServiceRow, VolumeRow, ago


class World:
    """The truth. ``holds`` are the (server, host, volume) of which a guest process has the disk open, whatever the
    databases say."""

    def __init__(self) -> None:
        self.volumes: dict[str, VolumeRow] = {}
        self.servers: dict[str, ServerRow] = {}
        self.services: list[ServiceRow] = []
        self.migrations: list[MigrationRow] = []
        self.workers: dict[str, str] = {}
        self.transfers: dict[str, str] = {}
        self.cells: dict[str, bool] = {"cell1": True}
        self.holds: set[tuple[str, str, str]] = set()
        self.lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._due: list[tuple[float, Callable[[], None]]] = []
        self._mail: dict[str, list[Callable[[], None]]] = {}

    def number(self) -> int:
        """The next number for an id."""
        return next(self._numbers)

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Do it after that long, at the next call to any service."""
        self._due.append((monotonic() + seconds, do))

    def tick(self) -> None:
        """Do what is due."""
        due = [entry for entry in self._due if entry[0] <= monotonic()]
        self._due = [entry for entry in self._due if entry not in due]
        for _, do in due:
            do()

    def cast(self, service: ServiceRow | None, do: Callable[[], None], lag: float | None = 0.0) -> None:
        """A message to a service: done after ``lag`` seconds (None: never), kept in its queue while it does not run."""
        if service is None or not service.running:
            self._mail.setdefault(service.host if service else "", []).append(do)
        elif lag is not None:
            self.later(lag, do)
            self.tick()

    def deliver(self, host: str) -> None:
        """A service came back and reads its queue."""
        for do in self._mail.pop(host, []):
            do()

    def service(self, binary: str, host: str | None) -> ServiceRow | None:
        """The service's row."""
        return next((s for s in self.services if s.binary == binary and s.host == host), None)

    def attachment(self, attachment_id: str) -> AttachmentRow | None:
        """A live attachment of a live volume."""
        rows = (a for v in self.volumes.values() if not v.deleted for a in v.attachments)
        return next((a for a in rows if a.id == attachment_id and not a.deleted), None)

    def mappings_of(self, volume_id: str) -> Iterator[MappingRow]:
        """The live mappings of a volume in live servers."""
        for server in self.servers.values():
            if not server.deleted:
                yield from (m for m in server.live if m.volume_id == volume_id)

    def release(self, server_id: str, volume_id: str) -> None:
        """The guest closes the disk."""
        self.holds -= {h for h in self.holds if (h[0], h[2]) == (server_id, volume_id)}

    def silence(self, service: ServiceRow, *, noticed: bool) -> None:
        """The service's process is gone; the API knows at once, or not yet."""
        service.running = False
        if noticed:
            service.state, service.updated_at = "down", ago(7200)

    def picture(self) -> object:
        """All rows as plain values, to compare with a later picture."""
        rows = [*self.volumes.values(), *self.servers.values(), *self.migrations]
        states = [(s.host, s.state) for s in self.services]
        return [asdict(row) for row in rows], states, dict(self.workers), dict(self.transfers), set(self.holds)
