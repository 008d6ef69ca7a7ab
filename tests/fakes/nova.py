"""nova as far as repairs of volumes see it: who maps a volume, and what a detach does.

Sources: nova/api/openstack/compute/volumes.py, nova/compute/api.py (detach_volume), nova/compute/manager.py.
"""

from __future__ import annotations

from opsfix.errors import CloudRefused, CloudUnknown
from tests.fakes.cinder import FakeCinder
from tests.fakes.rows import MappingRow, ServerRow
from tests.fakes.world import World

DETACHABLE = ("active", "paused", "stopped", "resized", "soft-delete", "shelved", "shelved_offloaded")


class FakeNova:
    """``detach_lag`` is how long a detach takes on a running host (seconds, None: the driver hangs);
    ``detach_fails``: the guest does not let go."""

    def __init__(self, world: World, cinder: FakeCinder) -> None:
        self.world, self.cinder = world, cinder
        self.detach_lag: float | None = 0.0
        self.detach_fails = False

    def found(self, server_id: str) -> ServerRow:
        """The live server, or its 404; a 500 when its cell is down."""
        server = self.world.servers.get(server_id)
        if server is None or server.deleted:
            raise CloudRefused(404, f"Instance {server_id} could not be found.")
        if not self.world.cells[server.cell]:
            raise CloudUnknown(f"HTTP 500: Cell {server.cell} is not responding")
        return server

    def detach(self, server_id: str, volume_id: str) -> None:
        """``DELETE /servers/ID/os-volume_attachments/VOLUME``: refuses, or answers 202 and works on."""
        server = self.found(server_id)
        self.cinder.found(volume_id)
        mapping = next((m for m in server.live if m.volume_id == volume_id), None)
        if mapping is None:
            raise CloudRefused(404, f"Instance {server_id} is not attached to volume {volume_id}")
        if mapping.boot_index == 0:
            raise CloudRefused(400, "Cannot detach a root device volume")
        if server.vm_state not in DETACHABLE or server.task_state:
            word, state = ("task_state", server.task_state) if server.task_state else ("vm_state", server.vm_state)
            raise CloudRefused(409, f"Cannot 'detach_volume' instance {server_id} while it is in {word} {state}")
        compute = self.world.service("nova-compute", server.host)
        offloaded = server.vm_state == "shelved_offloaded"
        if not offloaded and (compute is None or compute.state != "up"):
            raise CloudRefused(409, "Service is unavailable at this time.")
        self.cinder.begin_detaching(volume_id)
        if offloaded:
            self._detached(server, mapping)
        else:
            self.world.cast(compute, lambda: self._detached(server, mapping), self.detach_lag)

    def _detached(self, server: ServerRow, mapping: MappingRow) -> None:
        """nova-compute: the guest lets go, then cinder's attachment goes (a 404 is ignored), then the mapping."""
        if mapping.deleted or server.deleted:
            return
        if self.detach_fails:
            self.cinder.roll_detaching(mapping.volume_id)
            return
        self.world.release(server.id, mapping.volume_id)
        try:
            self.cinder.delete_attachment(mapping.attachment_id or "", service_token=True)
        except CloudRefused as e:
            if e.status != 404:
                raise
        except CloudUnknown:
            return
        mapping.deleted = True
