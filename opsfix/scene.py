"""What all items of a run share: the cloud, its databases, which hosts are up, what the operator asserted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from opsfix.errors import CloudUnknown
from opsfix.ports import Cloud, Databases
from opsfix.resources import Service

#: Seconds for which a listing of services is taken for the present.
FRESH = 2.0
#: Seconds for which a complete listing of all servers is.
LISTED = 300.0
#: nova calls a service down by itself after this time without a heartbeat (service_down_time).
SILENT = timedelta(seconds=60)


@dataclass
class Scene:
    """``fenced`` are hosts that the operator asserts to be off; ``older_than`` is the least age of a finding.

    ``databases`` is None where none is configured. ``mapped`` holds, where there is no database of nova, the ids of the
    servers that list a volume, for the volumes that a complete listing of all servers was asked for. ``stop`` is set when
    the run is to end: no wait goes on then.
    """

    cloud: Cloud
    databases: Databases | None = None
    older_than: timedelta = timedelta(minutes=15)
    fenced: frozenset[str] = frozenset()
    deadline: float = 60.0
    mapped: dict[str, set[str]] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    _mapped_at: float = 0.0
    _services: tuple[float, list[Service], list[Service]] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _listing: threading.Lock = field(default_factory=threading.Lock)

    def has(self, *databases: str) -> bool:
        """Whether all of these databases are configured."""
        return self.databases is not None and set(databases) <= set(self.databases.names())

    def idle(self, changed_at: datetime | None) -> bool:
        """Whether the last state change is at least ``older_than`` ago. An age of 0 takes everything, whatever the clocks say."""
        if changed_at is None or not self.older_than:
            return True
        return datetime.now(UTC) - changed_at >= self.older_than

    def _listed(self) -> tuple[list[Service], list[Service]]:
        with self._lock:
            if self._services is None or time.monotonic() - self._services[0] > FRESH:
                computes, volumes = self.cloud.compute_services(), self.cloud.volume_services()
                self._services = (time.monotonic(), computes, volumes)
            return self._services[1], self._services[2]

    def cells_up(self) -> bool:
        """Whether every cell answered; without that nova's 404 proves nothing."""
        return all(s.state != "unknown" for s in self._listed()[0])

    def compute_state(self, host: str | None) -> str:
        """'up', 'down', 'fenced', 'missing' (nova has no such nova-compute), 'none' for no host,
        or 'up, yet said to be fenced': an assertion that nova contradicts."""
        if not host:
            return "none"
        states = [s.state for s in self._listed()[0] if s.binary == "nova-compute" and s.host == host]
        if host in self.fenced:
            return "up, yet said to be fenced" if "up" in states or self._beats(host) else "fenced"
        return _worst(states)

    def _beats(self, host: str) -> bool:
        """Whether a nova-compute that was forced down by hand has still been heard of within a minute."""
        forced = [s for s in self._listed()[0] if s.binary == "nova-compute" and s.host == host and s.forced_down]
        return any(s.updated_at and datetime.now(UTC) - s.updated_at < SILENT for s in forced)

    def heartbeat(self, host: str | None) -> datetime | None:
        """When nova last heard of the host's nova-compute, naive UTC as nova's database has it."""
        seen = [s.updated_at for s in self._listed()[0] if s.binary == "nova-compute" and s.host == host]
        return seen[0].replace(tzinfo=None, microsecond=0) if seen and seen[0] else None

    def backend_state(self, backend: str | None) -> str:
        """The same for a cinder-volume service ``HOST@BACKEND``; a fenced HOST fences all its backends."""
        if not backend:
            return "none"
        states = [s.state for s in self._listed()[1] if s.binary == "cinder-volume" and s.host == backend]
        if "up" in states:  # a second row of the same service may be dead: the process is not
            return "up"
        if {backend, backend.split("@")[0]} & self.fenced:
            return "fenced"
        return _worst(states)

    def mapping_servers(self, volume_id: str) -> set[str]:
        """Ids of the servers that list the volume, from complete listings no older than LISTED seconds.

        Raises CloudUnknown when a listing is not complete.
        """
        with self._listing:
            if volume_id not in self.mapped or time.monotonic() - self._mapped_at > LISTED:
                self.list_mapped({volume_id, *self.mapped})
            return self.mapped[volume_id]

    def list_mapped(self, volume_ids: Iterable[str]) -> None:
        """Read every server once and remember which list one of these volumes; raises CloudUnknown when not complete."""
        found: dict[str, set[str]] = {v: set() for v in volume_ids}
        self.require_cells()
        for server in self.cloud.servers():
            for volume_id in found.keys() & set(server.volume_ids):
                found[volume_id].add(server.id)
        self.remember(found)

    def remember(self, mapped: dict[str, set[str]]) -> None:
        """Keep what a complete listing just told."""
        self.mapped, self._mapped_at = mapped, time.monotonic()

    def require_cells(self) -> None:
        """Raise CloudUnknown while a cell is down: a listing of servers then proves no absence."""
        if not self.cells_up():
            raise CloudUnknown("a cell of nova is down, so the listing of servers is not complete")


def _worst(states: list[str]) -> str:
    """'up' only where every row says so."""
    if not states:
        return "missing"
    return next((s for s in states if s != "up"), "up")
