"""nova as far as the states of servers go: what it takes in which state, and what the guest does then.

Sources: nova/api/openstack/compute/admin_actions.py, nova/compute/api.py (check_instance_state), nova/compute/manager.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from opsfix.errors import CloudRefused
from opsfix.resources import Server
from tests.fakes.cloud import FakeCloud
from tests.fakes.databases import FakeDatabases, Rows
from tests.fakes.rows import ServerRow, ago

RUNNING, OFF = 1, 4
REBOOTABLE = (None, "rebooting", "reboot_started", "rebooting_hard", "reboot_started_hard")


class ServerCloud(FakeCloud):
    """``guests`` are the hypervisors' own words, None for a guest that is not there; ``fails`` are the driver's calls
    that fail, ``hangs`` those that never end; ``blind``: the driver cannot tell of its guests; ``built`` False: it never
    ran on any host."""

    def __init__(self) -> None:
        super().__init__()
        self.guests: dict[str, int | None] = {}
        self.fails: set[str] = set()
        self.hangs: set[str] = set()
        self.faults_of: dict[str, str] = {}
        self.never_built: set[str] = set()
        self.blind = False

    @property
    def power(self) -> ServerCloud:
        """See ports.Cloud."""
        return self

    def add_guest(self, guest: int | None = RUNNING, *, built: bool = True, **columns: Any) -> str:
        """A server and its guest."""
        server = self.add_server(**{"power_state": guest if guest is not None else 1} | columns)
        self.guests[server] = guest
        if not built:
            self.never_built.add(server)
        return server

    def _server(self, row: ServerRow) -> Server:
        return replace(
            super()._server(row), updated_at=row.updated_at, fault=self.faults_of.get(row.id),
            launched_at=None if row.id in self.never_built else ago(864000),
        )

    def servers_soft_deleted(self) -> Iterator[Server]:
        """See ports.Cloud."""
        rows = [s for s in self.world.servers.values() if s.vm_state == "soft-delete" and not s.deleted]
        yield from self._read("servers_soft_deleted", lambda: [self._server(s) for s in rows])

    def reset_server(self, server_id: str, state: str) -> None:
        """``os-resetState``: asks nobody."""

        def reset() -> None:
            self._set(self.nova.found(server_id), vm_state=state, task_state=None)

        self._change("reset_server", reset)

    # ports.Power

    def runs(self, server_id: str) -> bool | None:
        """See ports.Power."""
        return None if self.blind else self._read("runs", lambda: self.guests[server_id] == RUNNING)

    def stop(self, server_id: str) -> None:
        """See ports.Power."""
        self._begin("stop", server_id, ("active", "error"), "powering-off", self._stopped)

    def start(self, server_id: str) -> None:
        """See ports.Power."""
        self._begin("start", server_id, ("stopped",), "powering-on", lambda s: self._started(s, again=False))

    def reboot_hard(self, server_id: str) -> None:
        """See ports.Power."""
        states = ("active", "stopped", "paused", "suspended", "error")
        self._begin("reboot_hard", server_id, states, "rebooting_hard", lambda s: self._started(s, again=True), REBOOTABLE)

    def restore(self, server_id: str) -> None:
        """See ports.Power."""
        self._begin("restore", server_id, ("soft-delete",), "restoring", lambda s: self._started(s, again=False))

    def _begin(
        self, call: str, server_id: str, states: tuple[str, ...], task: str, do: Callable[[ServerRow], None],
        tasks: tuple[str | None, ...] = (None,),
    ) -> None:
        """nova's API: a no, or the task is set and the host is asked."""

        def accept() -> None:
            server = self.nova.found(server_id)
            if server.vm_state not in states or server.task_state not in tasks or server_id in self.never_built:
                raise CloudRefused(409, f"Cannot '{call}' instance {server_id} while it is in vm_state {server.vm_state}")
            self._set(server, task_state=task)
            if call not in self.hangs:
                self._set(server, task_state=None)
                self._end(call, server, do)

        self._change(call, accept)

    def _end(self, call: str, server: ServerRow, do: Callable[[ServerRow], None]) -> None:
        if call not in self.fails:
            do(server)
            return
        self.faults_of[server.id] = f"the driver cannot {call}"
        if call == "reboot_hard":
            self._set(server, vm_state="error")

    def _stopped(self, server: ServerRow) -> None:
        if self.guests[server.id] is None:  # nova-compute: InstanceNotFound, the state stays
            return
        self.guests[server.id] = OFF
        self._set(server, vm_state="stopped", power_state=OFF)

    def _started(self, server: ServerRow, *, again: bool) -> None:
        if self.guests[server.id] is None and not again:
            return
        self.guests[server.id] = RUNNING
        self.faults_of.pop(server.id, None)
        self._set(server, vm_state="active", power_state=RUNNING)

    @staticmethod
    def _set(server: ServerRow, **columns: Any) -> None:
        for name, value in columns.items():
            setattr(server, name, value)
        server.updated_at = ago(0)


class ServerDatabases(FakeDatabases):
    """nova's cells with what servers' states are read from."""

    def _read_server_migrations(self, server_id: str, cell: str | None) -> Rows:
        return [
            {"id": m.id, "status": m.status, "migration_type": m.type, "source_compute": None, "dest_compute": None}
            for m in self.world.migrations if m.server_id == server_id
        ]

    def _read_servers_unsettled(self, cell: str | None) -> Rows:
        return [
            {"uuid": s.id, "cell": s.cell} for s in self._servers(cell) if s.task_state or s.vm_state in ("error", "building")
        ]
