"""Short ways to build a cloud in any state, however broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fakes.cinder import FakeCinder
from tests.fakes.faults import Fault, Faults, lost, refusing
from tests.fakes.nova import FakeNova
from tests.fakes.rows import AttachmentRow, MappingRow, MigrationRow, ServerRow, ServiceRow, VolumeRow, ago
from tests.fakes.world import World


class Builder:
    """A cloud of one backend, ``store@lvm``; hosts come with the first server on them."""

    def __init__(self) -> None:
        self.world = World()
        self.cinder = FakeCinder(self.world)
        self.nova = FakeNova(self.world, self.cinder)
        self.faults = Faults()
        self.add_backend("store@lvm")

    # what there is

    def add_backend(self, host: str) -> None:
        """A running cinder-volume."""
        self.world.services.append(ServiceRow(self.world.number(), "cinder-volume", host))

    def add_host(self, host: str, cell: str = "cell1") -> None:
        """A running nova-compute."""
        self.world.cells.setdefault(cell, True)
        self.world.services.append(ServiceRow(self.world.number(), "nova-compute", host, cell=cell))

    def add_volume(self, name: str = "data", *, age: float = 86400, **columns: Any) -> str:
        """A volume that changed ``age`` seconds ago; any column may be given."""
        volume = VolumeRow(columns.pop("id", None) or f"volume-{self.world.number():05}", name, "project", **columns)
        volume.updated_at = ago(age)
        self.world.volumes[volume.id] = volume
        return volume.id

    def add_server(self, name: str = "guest", **columns: Any) -> str:
        """A running server on ``cmp-1``; any column may be given."""
        server = ServerRow(f"server-{self.world.number():05}", name, "project", **columns)
        self.world.servers[server.id] = server
        if server.host and not self.world.service("nova-compute", server.host):
            self.add_host(server.host, server.cell)
        return server.id

    def add_attachment(
        self, volume: str, server: str | None, status: str = "attached", *,
        connected: bool = True, host: str | None = None,
    ) -> str:
        """A row of cinder's only; the volume's own state stays."""
        row = self.world.servers.get(server or "")
        attachment = AttachmentRow(
            f"attachment-{self.world.number():05}", volume, server, status, connected,
            host or (row.host if row and connected else None),
        )
        self.world.volumes[volume].attachments.append(attachment)
        if connected and server and attachment.host:
            self.world.holds.add((server, attachment.host, volume))
        return attachment.id

    def add_mapping(
        self, server: str, volume: str, attachment: str | None = "gone", *, root: bool = False, connected: bool = True
    ) -> MappingRow:
        """A row of nova's only. ``attachment`` 'gone': an id that cinder does not have."""
        row = self.world.servers[server]
        number = self.world.number()
        mapping = MappingRow(
            id=number, uuid=f"mapping-{number:05}", server_id=server, volume_id=volume,
            attachment_id=f"attachment-{number:05}-gone" if attachment == "gone" else attachment,
            boot_index=0 if root else None, connected=connected,
            device=row.root_device if root else f"/dev/vd{'bcdefghijklmnop'[len(row.mappings) % 15]}",
        )
        row.mappings.append(mapping)
        if connected and row.host and row.vm_state == "active":
            self.world.holds.add((server, row.host, volume))
        return mapping

    def attach(self, volume: str, server: str, *, root: bool = False) -> str:
        """What a completed attach leaves on both sides; returns the attachment's id."""
        attachment = self.add_attachment(volume, server)
        self.add_mapping(server, volume, attachment, root=root)
        row = self.world.volumes[volume]
        row.status, row.attach_status = "in-use", "attached"
        return attachment

    def attached(self, *, root: bool = False, volume: dict[str, Any] | None = None, **server: Any) -> tuple[str, str]:
        """A new volume attached to a new server; returns both ids."""
        new, guest = self.add_volume(**(volume or {})), self.add_server(**server)
        self.attach(new, guest, root=root)
        return new, guest

    def set_volume(self, volume: str, status: str, **columns: Any) -> None:
        """Overwrite columns behind the services' back; the age stays."""
        for name, value in ({"status": status} | columns).items():
            setattr(self.world.volumes[volume], name, value)

    def set_server(self, server: str, **columns: Any) -> None:
        """Overwrite columns behind the services' back."""
        for name, value in columns.items():
            setattr(self.world.servers[server], name, value)

    def add_migration(self, server: str, status: str = "running") -> None:
        """A migration record."""
        self.world.migrations.append(MigrationRow(self.world.number(), server, status))

    # what goes wrong

    def lose_server(self, server: str) -> None:
        """The server and its mappings are deleted, and cinder's attachments stay. Its guest is really gone only where
        its host runs."""
        row = self.world.servers[server]
        row.deleted = True
        for mapping in row.mappings:
            mapping.deleted = True
        compute = self.world.service("nova-compute", row.host)
        if compute is None or compute.running:
            self.world.holds = {h for h in self.world.holds if h[0] != server}

    def drop_attachment(self, attachment: str) -> None:
        """cinder's row disappears without a trace in the volume's state."""
        row = self.world.attachment(attachment)
        assert row is not None
        row.deleted = True

    def drop_mapping(self, server: str, volume: str) -> None:
        """nova's row disappears; the guest keeps the disk."""
        for mapping in self.world.servers[server].live:
            mapping.deleted = mapping.deleted or mapping.volume_id == volume

    def kill_host(self, host: str, *, noticed: bool = True, off: bool = False) -> None:
        """nova-compute stops answering. The guests go on writing, unless the host is really off."""
        service = self.world.service("nova-compute", host)
        assert service is not None
        self.world.silence(service, noticed=noticed)
        if off:
            self.world.holds = {h for h in self.world.holds if h[1] != host}

    def kill_backend(self, host: str = "store@lvm", *, noticed: bool = True) -> None:
        """cinder-volume stops answering."""
        service = self.world.service("cinder-volume", host)
        assert service is not None
        self.world.silence(service, noticed=noticed)

    def revive(self, host: str) -> None:
        """The services of a host come back, read their queues and take up unfinished work."""
        for service in (s for s in self.world.services if s.host == host):
            service.running, service.state, service.updated_at = True, "up", ago(1)
            if service.binary == "cinder-volume":
                unfinished = [self.world.volumes[v] for v, backend in self.world.workers.items() if backend == host]
                for volume in unfinished:
                    self.cinder.restarted(volume)
        self.world.deliver(host)

    def cell_down(self, cell: str = "cell1") -> None:
        """nova's API does not reach a cell."""
        self.world.cells[cell] = False

    def work_on(self, volume: str) -> None:
        """The volume's backend has it in hand (cinder's ``workers``)."""
        self.world.workers[volume] = self.world.volumes[volume].backend or ""

    # what happens at a call

    def lose(self, call: str, *, after: bool = False, times: int | None = 1) -> None:
        """The call's answer is lost, before or after it took effect."""
        self.faults.add(call, Fault(after=lost, times=times) if after else Fault(before=lost, times=times))

    def refuse(self, call: str, status: int, text: str, *, times: int | None = None) -> None:
        """The service says no."""
        self.faults.add(call, Fault(before=refusing(status, text), times=times))

    def on(self, call: str, do: Callable[[], None], *, after: bool = False) -> None:
        """Somebody interferes just before, or after, the call."""
        self.faults.add(call, Fault(after=do) if after else Fault(before=do))
