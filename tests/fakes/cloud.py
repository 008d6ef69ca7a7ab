"""A stateful cloud in memory: ports.Cloud with the services' real rules. Build a state, act, assert the state after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from opsfix.errors import CloudRefused, CloudUnknown
from opsfix.resources import Attachment, Mapping, Migration, Server, Service, Volume
from tests.fakes.builder import Builder
from tests.fakes.rows import AttachmentRow, ServerRow, ServiceRow, VolumeRow

T = TypeVar("T")


class FakeCloud(Builder):
    """See ports.Cloud; ``world``, ``cinder`` and ``nova`` are its inside."""

    identity = "fake"

    def _read(self, call: str, do: Callable[[], T]) -> T:
        return self._do(call, do, change=False)

    def _change(self, call: str, do: Callable[[], T]) -> T:
        return self._do(call, do, change=True)

    def _do(self, call: str, do: Callable[[], T], *, change: bool) -> T:
        with self.world.lock:
            self.world.tick()
            return self.faults.around(call, do, change=change)

    # reads

    def volume(self, volume_id: str) -> Volume | None:
        """See ports.Cloud."""
        try:
            return self._read("volume", lambda: _volume(self.cinder.found(volume_id)))
        except CloudRefused as e:
            if e.status == 404:
                return None
            raise

    def volumes(self, *, status: str | None = None, name: str | None = None) -> Iterator[Volume]:
        """See ports.Cloud."""
        yield from self._read("volumes", lambda: [
            _volume(v) for v in self.world.volumes.values()
            if not v.deleted and status in (None, v.status) and name in (None, v.name)
        ])

    def attachments(self, *, volume_id: str | None = None, server_id: str | None = None) -> Iterator[Attachment]:
        """See ports.Cloud."""
        volumes = [v for v in self.world.volumes.values() if volume_id in (None, v.id)]
        detailed = bool(volume_id or server_id)
        yield from self._read("attachments", lambda: [
            _attachment(a, detailed=detailed) for v in volumes if not v.deleted for a in v.live
            if server_id in (None, a.server_id)
        ])

    def server(self, server_id: str) -> Server | None:
        """See ports.Cloud."""
        row = self.world.servers.get(server_id)
        return self._read("server", lambda: None if row is None or row.deleted else self._server(row))

    def servers(
        self, *, name: str | None = None, host: str | None = None, node: str | None = None, project: str | None = None
    ) -> Iterator[Server]:
        """See ports.Cloud."""
        rows = [
            s for s in self.world.servers.values()
            if not s.deleted and name in (None, s.name) and host in (None, s.host) and node in (None, s.host)
            and project in (None, s.project_id)
        ]
        for server in self._read("servers", lambda: [self._server(s) for s in rows]):
            if not server.answered:
                raise CloudUnknown(f"the cell of server {server.id} is down, so the listing of servers is not complete")
            yield server

    def _server(self, row: ServerRow) -> Server:
        if not self.world.cells[row.cell]:
            return Server(id=row.id, name="", project_id=row.project_id, answered=False)
        return Server(
            id=row.id, name=row.name, project_id=row.project_id, vm_state=row.vm_state, task_state=row.task_state,
            power_state=row.power_state, host=row.host, locked=row.locked, root_device=row.root_device,
            volume_ids=tuple(m.volume_id for m in row.live),
        )

    def mappings(self, server: Server) -> list[Mapping]:
        """See ports.Cloud."""
        return self._read("mappings", lambda: [
            Mapping(server.id, m.volume_id, m.attachment_id, m.uuid, m.device == server.root_device, device=m.device)
            for m in self.nova.found(server.id).live
        ])

    def migrations(self, server_id: str) -> list[Migration]:
        """See ports.Cloud."""
        return self._read("migrations", lambda: [
            Migration(m.id, m.server_id, m.status, m.type) for m in self.world.migrations if m.server_id == server_id
        ])

    def compute_services(self) -> list[Service]:
        """See ports.Cloud."""
        return self._read("compute_services", lambda: [
            _service(s, answered=self.world.cells[s.cell]) for s in self.world.services if s.binary == "nova-compute"
        ])

    def volume_services(self) -> list[Service]:
        """See ports.Cloud."""
        return self._read("volume_services", lambda: [
            _service(s, answered=True) for s in self.world.services if s.binary == "cinder-volume"
        ])

    def transfers(self, volume_id: str) -> list[str]:
        """See ports.Cloud."""
        return self._read("transfers", lambda: [t for t, v in self.world.transfers.items() if v == volume_id])

    # changes

    def reset_volume(self, volume_id: str, status: str, attach_status: str | None) -> None:
        """See ports.Cloud."""
        self._change("reset_volume", lambda: self.cinder.reset_status(volume_id, status, attach_status))

    def roll_detaching(self, volume_id: str) -> None:
        """See ports.Cloud."""
        self._change("roll_detaching", lambda: self.cinder.roll_detaching(volume_id))

    def create_attachment(self, volume_id: str, server_id: str) -> str:
        """See ports.Cloud."""
        return self._change("create_attachment", lambda: self.cinder.create_attachment(volume_id, server_id))

    def complete_attachment(self, attachment_id: str) -> None:
        """See ports.Cloud."""
        self._change("complete_attachment", lambda: self.cinder.complete_attachment(attachment_id))

    def delete_attachment(self, attachment_id: str) -> None:
        """See ports.Cloud."""
        self._change("delete_attachment", lambda: self.cinder.delete_attachment(attachment_id))

    def delete_volume(self, volume_id: str, *, force: bool) -> None:
        """See ports.Cloud."""
        self._change("delete_volume", lambda: self.cinder.delete(volume_id, force=force))

    def cleanup_workers(self, volume_id: str) -> None:
        """See ports.Cloud."""
        self._change("cleanup_workers", lambda: self.cinder.clean_up(volume_id))

    def detach_volume(self, server_id: str, volume_id: str) -> None:
        """See ports.Cloud."""
        self._change("detach_volume", lambda: self.nova.detach(server_id, volume_id))


#: cinder/api/v3/views/volumes.py: what the API says for what cinder keeps.
SHOWN = {"managing": "creating", "error_managing": "error", "error_managing_deleting": "deleting"}


def _volume(row: VolumeRow) -> Volume:
    return Volume(
        id=row.id, name=row.name, project_id=row.project_id, status=SHOWN.get(row.status, row.status),
        migration_status=row.migration_status,
        host=row.host, multiattach=row.multiattach, group_id=row.group_id, created_at=row.created_at,
        updated_at=row.updated_at, hosts=tuple((a.id, a.host) for a in row.live if a.status == "attached"),
    )


def _attachment(row: AttachmentRow, *, detailed: bool) -> Attachment:
    return Attachment(row.id, row.volume_id, row.status, row.server_id, connected=detailed and row.connected)


def _service(row: ServiceRow, *, answered: bool) -> Service:
    return Service(row.binary, row.host, row.state if answered else "unknown", id=row.id, updated_at=row.updated_at)
