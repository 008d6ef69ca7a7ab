"""cinder as far as repairs of volumes see it, with what its API and its cinder-volume really do.

Sources: cinder/api/contrib/admin_actions.py, cinder/volume/api.py (attachment_deletion_allowed, attachment_delete,
_attachment_reserve, delete), cinder/db/sqlalchemy/api.py (volume_detached). Verified on real services by
tests/functional/test_conformance.py.
"""

from __future__ import annotations

from opsfix.errors import CloudRefused, CloudUnknown
from tests.fakes.rows import AttachmentRow, VolumeRow
from tests.fakes.world import World

DELETABLE = ("available", "error", "error_restoring", "error_extending", "error_managing")
STATUSES = frozenset({
    "creating", "available", "deleting", "error", "error_deleting", "error_managing", "managing", "attaching", "in-use",
    "detaching", "maintenance", "restoring-backup", "error_restoring", "reserved", "awaiting-transfer", "backing-up",
    "error_backing-up", "error_extending", "downloading", "uploading", "retyping", "extending",
})


class FakeCinder:
    """``delete_lag`` is how long a running backend takes (seconds, None: it hangs); ``driver`` how deletions end there:
    'ok', 'fails' or 'busy'. ``clustered``: workers/cleanup finds a service that takes over (else it does nothing).
    ``nova_reachable``: whether cinder gets an answer from nova."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.delete_lag: float | None = 0.0
        self.driver = "ok"
        self.terminate_fails = False
        self.clustered = False
        self.nova_reachable = True

    def found(self, volume_id: str) -> VolumeRow:
        """The live volume, or its 404."""
        volume = self.world.volumes.get(volume_id)
        if volume is None or volume.deleted:
            raise CloudRefused(404, f"Volume {volume_id} could not be found.")
        return volume

    def _attachment(self, attachment_id: str) -> AttachmentRow:
        attachment = self.world.attachment(attachment_id)
        if attachment is None:
            wanted = f"attachment_id = {attachment_id}"
            raise CloudRefused(404, f"Volume attachment could not be found with filter: {wanted}.")
        return attachment

    # states

    def reset_status(self, volume_id: str, status: str | None, attach_status: str | None) -> None:
        """``os-reset_status``: asks neither the backend nor nova."""
        volume = self.found(volume_id)
        if status is not None and status not in STATUSES:
            raise CloudRefused(400, f"Invalid input for field/attribute status. Value: {status}.")
        if attach_status not in (None, "attached", "detached"):
            raise CloudRefused(400, f"Invalid input for field/attribute attach_status. Value: {attach_status}.")
        if status == "deleting":
            raise CloudRefused(400, "Cannot reset-state to deleting")
        if status == "in-use" and not volume.live:
            raise CloudRefused(400, "Cannot reset-state to in-use because volume does not have any attachments.")
        volume.status = status or volume.status
        volume.attach_status = attach_status or volume.attach_status
        volume.touch()
        self.world.workers.pop(volume_id, None)
        if attach_status == "detached":
            for attachment in volume.live:
                self.detached(volume, attachment)

    def detached(self, volume: VolumeRow, attachment: AttachmentRow) -> None:
        """``volume_detached``: delete the attachment and recompute; leaves updated_at alone."""
        attachment.deleted, attachment.status = True, "detached"
        left = sorted(a.status for a in volume.live if not a.status.startswith("error_"))
        volume.attach_status = left[0] if left else "detached"
        if volume.attach_status == "detached" and (volume.migrating or volume.status == "uploading"):
            return
        volume.status = {"attached": "in-use", "detached": "available"}.get(volume.attach_status, volume.attach_status)

    def roll_detaching(self, volume_id: str) -> None:
        """``os-roll_detaching``: no effect, and no refusal, in any other state."""
        volume = self.found(volume_id)
        if volume.status == "detaching":
            volume.status = "in-use"
            volume.touch()

    def begin_detaching(self, volume_id: str) -> None:
        """``os-begin_detaching``, nova's first call of a detach."""
        volume = self.found(volume_id)
        if volume.status != "in-use" or volume.attach_status != "attached":
            raise CloudRefused(400, (
                "Invalid volume: Unable to detach volume. Volume status must be 'in-use' and attach_status must be"
                " 'attached' to detach."
            ))
        volume.status = "detaching"
        volume.touch()

    # attachments

    def create_attachment(self, volume_id: str, server_id: str | None) -> str:
        """Reserve the volume."""
        volume = self.found(volume_id)
        if "error" in volume.status:
            raise CloudRefused(400, (
                "Invalid volume: Volume attachments can not be created if the volume is in an error state. The Volume"
                f" {volume_id} currently has a status of: {volume.status}"
            ))
        free = ("available", "downloading", "in-use") if volume.multiattach else ("available", "downloading")
        if volume.status in free:
            volume.status = "reserved"
            volume.touch()
        elif volume.status not in ("in-use", "reserved") or all(a.server_id != server_id for a in volume.live):
            raise CloudRefused(400, (
                f"Invalid volume: Volume {volume_id} status must be {' or '.join(free)} to reserve, but the current"
                f" status is {volume.status}."
            ))
        attachment = AttachmentRow(f"attachment-{self.world.number():04}", volume_id, server_id, "reserved", False)
        volume.attachments.append(attachment)
        return attachment.id

    def complete_attachment(self, attachment_id: str) -> None:
        """``os-complete``: no precondition at all."""
        attachment = self._attachment(attachment_id)
        volume = self.found(attachment.volume_id)
        attachment.status = volume.attach_status = "attached"
        volume.status = "in-use"
        volume.touch()

    def delete_attachment(self, attachment_id: str, *, service_token: bool = False) -> None:
        """Only a reserved one goes without cinder-volume; a dead one's RPC times out with nothing changed."""
        attachment = self._attachment(attachment_id)
        volume = self.found(attachment.volume_id)
        if not service_token:
            self._deletion_allowed(attachment)
        if attachment.status != "reserved":
            backend = self.world.service("cinder-volume", volume.backend)
            if backend is None or not backend.running:
                raise CloudUnknown("HTTP 500: Timed out waiting for a reply to message ID")
            if self.terminate_fails:
                attachment.status = "error_detaching"
                raise CloudUnknown("HTTP 500: the driver failed to terminate the connection")
        self.detached(volume, attachment)

    def _deletion_allowed(self, attachment: AttachmentRow) -> None:
        """OSSA-2023-003: a caller without a service token gets what nova does not use."""
        if attachment.server_id is None or not attachment.connected:
            return
        server = self.world.servers.get(attachment.server_id)
        if not self.nova_reachable or (server and not server.deleted and not self.world.cells[server.cell]):
            raise CloudUnknown("HTTP 503: Nova service could not query os-api.")
        if server is None or server.deleted:
            return
        used = next((m for m in server.live if m.volume_id == attachment.volume_id), None)
        if used and used.attachment_id == attachment.id:
            raise CloudRefused(409, f"Detach volume from instance {server.id} using the Compute API")

    # deletion

    def delete(self, volume_id: str, *, force: bool) -> None:
        """``DELETE /volumes/ID`` and ``os-force_delete``, which skips only the test of the status."""
        volume = self.found(volume_id)
        if not volume.host:
            volume.deleted, volume.status = True, "deleted"
            return
        if (
            (not force and volume.status not in DELETABLE) or volume.attach_status == "attached"
            or volume.migrating or volume.group_id or volume.snapshots
        ):
            must = "" if force else f"status must be {' or '.join(DELETABLE)} and "
            raise CloudRefused(400, (
                f"Invalid volume: Volume {must}must not be migrating, attached, belong to a group, have snapshots,"
                " awaiting a transfer, or be disassociated from snapshots after volume transfer."
            ))
        volume.status = "deleting"
        volume.touch()
        backend = self.world.service("cinder-volume", volume.backend)
        self.world.cast(backend, lambda: self._driven(volume), self.delete_lag)

    def _driven(self, volume: VolumeRow) -> None:
        if volume.deleted or volume.status != "deleting":
            return
        if self.driver == "ok":
            volume.deleted, volume.status = True, "deleted"
            for attachment in volume.live:
                attachment.deleted = True
        else:
            volume.status = "error_deleting" if self.driver == "fails" else "available"
            volume.touch()
        self.world.workers.pop(volume.id, None)

    def clean_up(self, volume_id: str) -> None:
        """``POST /workers/cleanup``: only a cluster has somebody who takes over."""
        if volume_id not in self.world.workers:
            raise CloudRefused(400, "There is no work to clean up for that resource.")
        if self.clustered:
            self.restarted(self.found(volume_id))

    def restarted(self, volume: VolumeRow) -> None:
        """What a starting cinder-volume does with unfinished work."""
        self.world.workers.pop(volume.id, None)
        if volume.status == "deleting":
            self._driven(volume)
        elif volume.status in ("creating", "downloading"):
            volume.status = "error"
            volume.touch()
        elif volume.status == "uploading":
            volume.status = "in-use" if volume.attach_status == "attached" else "available"
            volume.touch()
