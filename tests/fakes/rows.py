"""The rows that the fake services keep: mutable, in the services' own words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


def ago(seconds: float) -> datetime:
    """A time in the past, whole seconds as the services store them."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).replace(microsecond=0)


@dataclass(eq=False)
class AttachmentRow:
    """cinder's ``volume_attachment``; ``connected``: it has connection_info."""

    id: str
    volume_id: str
    server_id: str | None
    status: str
    connected: bool
    host: str | None = None
    deleted: bool = False


@dataclass(eq=False)
class VolumeRow:
    """cinder's ``volumes``, with its attachments, deleted ones included."""

    id: str
    name: str
    project_id: str
    status: str = "available"
    attach_status: str = "detached"
    migration_status: str | None = None
    host: str | None = "store@lvm#lvm"
    multiattach: bool = False
    group_id: str | None = None
    snapshots: int = 0
    created_at: datetime = field(default_factory=lambda: ago(864000))
    updated_at: datetime | None = field(default_factory=lambda: ago(86400))
    deleted: bool = False
    attachments: list[AttachmentRow] = field(default_factory=list)

    @property
    def backend(self) -> str | None:
        """``HOST@BACKEND`` of the cinder-volume that owns it."""
        return self.host.split("#")[0] if self.host else None

    @property
    def live(self) -> list[AttachmentRow]:
        """The attachments that are not deleted."""
        return [a for a in self.attachments if not a.deleted]

    @property
    def migrating(self) -> bool:
        """Whether cinder calls the volume under migration."""
        return self.migration_status not in (None, "", "deleting", "error", "success")

    def touch(self) -> None:
        """What SQLAlchemy's onupdate does."""
        self.updated_at = ago(0)


@dataclass(eq=False)
class MappingRow:
    """nova's ``block_device_mapping`` of a volume."""

    id: int
    uuid: str
    server_id: str
    volume_id: str
    attachment_id: str | None
    boot_index: int | None = None
    connected: bool = True
    device: str | None = None
    deleted: bool = False


@dataclass(eq=False)
class ServerRow:
    """nova's ``instances``, with its mappings, deleted ones included."""

    id: str
    name: str
    project_id: str
    host: str | None = "cmp-1"
    vm_state: str = "active"
    task_state: str | None = None
    power_state: int = 1
    locked: bool = False
    cell: str = "cell1"
    root_device: str = "/dev/vda"
    updated_at: datetime = field(default_factory=lambda: ago(86400))
    deleted: bool = False
    mappings: list[MappingRow] = field(default_factory=list)

    @property
    def live(self) -> list[MappingRow]:
        """The mappings that are not deleted."""
        return [m for m in self.mappings if not m.deleted]


@dataclass(eq=False)
class ServiceRow:
    """A service. ``state`` is what the API tells; ``running`` is the truth, which it learns a minute later."""

    id: int
    binary: str
    host: str
    state: str = "up"
    running: bool = True
    cell: str = "cell1"
    updated_at: datetime = field(default_factory=lambda: ago(3))


@dataclass(eq=False)
class MigrationRow:
    """nova's ``migrations``."""

    id: int
    server_id: str
    status: str
    type: str = "live-migration"
