"""Servers that move between hosts, in memory: nova as far as a drain meets it. A move takes one look to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from opsfix.errors import CloudRefused
from opsfix.resources import Migration, Server, Service

FROM, TO = "gpu-1", "gpu-2"
TASKS = {"live": "migrating", "cold": "resize_prep", "evacuate": "rebuilding", "confirm": None}


@dataclass
class MovingCloud:
    """ports.Cloud with its hosts and moves, which are this same object. ``stuck`` moves never end, ``fails`` leaves the
    servers where they are; a server's move is ``later`` over than its task by so many looks at its records; ``before``
    hears of each call."""

    services: list[Service] = field(default_factory=lambda: [
        Service("nova-compute", host, "up", uuid=f"service of {host}", updated_at=datetime.now(UTC)) for host in (FROM, TO)
    ])
    guests: dict[str, Server] = field(default_factory=dict)
    records: list[Migration] = field(default_factory=list)
    pending: dict[str, Callable[[], None]] = field(default_factory=dict)
    sent: list[tuple[Any, ...]] = field(default_factory=list)
    later: dict[str, int] = field(default_factory=dict)
    stuck: bool = False
    fails: str | None = None
    refuses: CloudRefused | None = None
    before: Callable[[str], None] = lambda _: None

    identity = "moving"

    @property
    def hosts(self) -> MovingCloud:
        return self

    @property
    def moves(self) -> MovingCloud:
        return self

    def add(self, name: str, vm_state: str = "active", host: str = FROM, **values: Any) -> str:
        self.guests[name] = Server(name, name, "p", vm_state=vm_state, host=host, **values)
        return name

    def add_move(self, server: str, status: str, kind: str, source: str = FROM, dest: str = TO) -> None:
        self.records.append(Migration(len(self.records), server, status, kind, None, source, dest))

    def set(self, name: str, **values: Any) -> None:
        self.guests[name] = replace(self.guests[name], **values)

    def state(self, host: str, state: str, **values: Any) -> None:
        self.services = [replace(s, state=state, **values) if s.host == host else s for s in self.services]

    # reads

    def compute_services(self) -> list[Service]:
        return list(self.services)

    def volume_services(self) -> list[Service]:
        return []

    def server(self, server_id: str) -> Server | None:
        seen = self.guests.get(server_id)
        if not self.stuck:
            self.pending.pop(server_id, lambda: None)()
        return seen

    def servers(self, *, host: str | None = None, name: str | None = None) -> Iterator[Server]:
        return iter([s for s in self.guests.values() if host in (None, s.host) and name in (None, s.name)])

    def migrations(self, of: str) -> list[Migration]:
        found = [m for m in self.records if of in (m.server_id, m.source, m.dest)]
        if self.later.get(of) and self.guests[of].task_state is None and found:
            self.later[of] -= 1
            return [replace(m, status="post-migrating") for m in found]
        return found

    def words(self, server_id: str) -> str:
        return self.fails or "" if server_id in self.guests else ""

    # changes

    def disable_compute(self, service: str, reason: str) -> None:
        self._send("disable", service, reason)
        self.services = [replace(s, status="disabled") if s.uuid == service else s for s in self.services]

    def live_migrate(self, server_id: str) -> None:
        self._move("live", server_id, "live-migration", "completed")

    def migrate(self, server_id: str) -> None:
        self._move("cold", server_id, "migration", "finished")

    def evacuate(self, server_id: str) -> None:
        self._move("evacuate", server_id, "evacuation", "done")

    def confirm(self, server_id: str) -> None:
        self._send("confirm", server_id)

        def end() -> None:
            self.set(server_id, vm_state="stopped")
            self.records = [replace(m, status="confirmed") if m.server_id == server_id else m for m in self.records]

        self.pending[server_id] = end

    def _send(self, *what: Any) -> None:
        self.before(what[0])
        if self.refuses and what[0] != "disable":
            raise self.refuses
        self.sent.append(what)

    def _move(self, way: str, server_id: str, kind: str, status: str) -> None:
        self._send(way, server_id)
        before = self.guests[server_id]
        self.set(server_id, task_state=TASKS[way])
        number = len(self.records)
        self.add_move(server_id, "running", kind)

        def end() -> None:
            failed = self.fails is not None
            self.records[number] = replace(self.records[number], status="error" if failed else status)
            state = "resized" if way == "cold" and not failed else before.vm_state
            self.set(server_id, host=FROM if failed else TO, task_state=None, vm_state=state)

        self.pending[server_id] = end
