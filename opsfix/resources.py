"""What opsfix reads of a cloud: frozen views of the services' resources, in the services' own words.

Times are aware UTC datetimes, ``None`` where the service has none.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Volume:
    """A cinder volume as an administrator sees it (``GET /v3/PROJECT/volumes/ID``).

    ``migration_status`` is None where cinder has none. ``hosts`` maps the id of each attachment that cinder calls
    attached to the host that it was attached on. ``size`` is in GiB; ``image_id`` is the image that it was made from,
    which cinder tells only when it is done; ``copied``: it is made from a snapshot or another volume instead.
    """

    id: str
    name: str
    project_id: str
    status: str
    migration_status: str | None = None
    host: str | None = None
    multiattach: bool = False
    group_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    hosts: tuple[tuple[str, str | None], ...] = ()
    size: int = 0
    image_id: str | None = None
    copied: bool = False

    @property
    def changed_at(self) -> datetime | None:
        """The last state change: a volume that never changed since has that of its creation."""
        return self.updated_at or self.created_at

    @property
    def backend(self) -> str | None:
        """``HOST@BACKEND``, the name of the cinder-volume service that owns it, without the pool."""
        return self.host.split("#", 1)[0] if self.host else None


@dataclass(frozen=True)
class Project:
    """A keystone project."""

    id: str
    name: str
    domain_id: str | None = None


@dataclass(frozen=True)
class Attachment:
    """A cinder volume attachment. ``connected``: it has connection_info, so some host may hold the disk.
    ``changed_at``: cinder does not touch the volume's own time for all that happens to its attachments."""

    id: str
    volume_id: str
    status: str
    server_id: str | None = None
    connected: bool = False
    host: str | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True)
class Mapping:
    """A live nova block device mapping of a volume. ``connected``: nova once stored connection_info in it
    (None: only the database knows, and none is configured). ``root``: the server boots from it; ``device`` is the
    disk's name in the guest, as nova asked for it."""

    server_id: str
    volume_id: str
    attachment_id: str | None
    uuid: str | None = None
    root: bool = False
    connected: bool | None = None
    id: int | None = None
    cell: str | None = None
    device: str | None = None


@dataclass(frozen=True)
class Server:
    """A nova server as an administrator sees it. ``answered`` is False for one whose cell is down; ``doomed_ids`` are
    those of its volumes that nova deletes with it (delete_on_termination).
    ``image_id`` is None for one that boots from a volume; ``launched_at`` for one that never ran on any host;
    ``fault`` is what nova tells of the failure that put it into error."""

    id: str
    name: str
    project_id: str
    vm_state: str | None = None
    task_state: str | None = None
    power_state: int | None = None
    host: str | None = None
    locked: bool = False
    root_device: str | None = None
    volume_ids: tuple[str, ...] = ()
    answered: bool = True
    node: str | None = None
    updated_at: datetime | None = None
    doomed_ids: tuple[str, ...] = ()
    image_id: str | None = None
    launched_at: datetime | None = None
    fault: str | None = None


@dataclass(frozen=True)
class Service:
    """A service's row in ``os-services``. ``state`` is 'up', 'down', or 'unknown' when its cell is down; ``status``
    'enabled' or 'disabled'; ``cluster`` is an active-active cluster of cinder-volume."""

    binary: str
    host: str
    state: str
    uuid: str | None = None
    id: int | None = None
    updated_at: datetime | None = None
    forced_down: bool = False
    status: str = "enabled"
    cluster: str | None = None


@dataclass(frozen=True)
class Migration:
    """A nova migration record of a server (``GET /os-migrations``). While it lasts, ``uuid`` may hold allocations."""

    id: int
    server_id: str
    status: str
    type: str | None = None
    uuid: str | None = None
    source: str | None = None
    dest: str | None = None

    #: nova/compute/api.py: what is not one of these is still going on; ``finished`` waits for a confirm or revert.
    ENDED = frozenset({"confirmed", "reverted", "error", "failed", "completed", "cancelled", "done"})

    @property
    def in_progress(self) -> bool:
        """Whether nova may still move the server or undo the move."""
        return self.status not in self.ENDED


@dataclass(frozen=True)
class Hypervisor:
    """A node of a nova-compute: one for each host, many with ironic. ``servers`` is None where nova was not asked."""

    uuid: str
    name: str
    host: str
    servers: int | None = None


@dataclass(frozen=True)
class Aggregate:
    """A nova host aggregate."""

    id: int
    name: str
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Port:
    """A neutron port. ``device_id`` is the server's id where ``device_owner`` begins with ``compute:``; ``subnet_ids``
    are those of its ``addresses``, in their order; ``pairs`` what else it may send as (allowed_address_pairs).
    ``changed_at`` is None where neutron keeps no times."""

    id: str
    name: str
    project_id: str
    device_id: str
    device_owner: str
    network_id: str
    status: str
    host: str | None = None
    vif_type: str | None = None
    addresses: tuple[str, ...] = ()
    subnet_ids: tuple[str, ...] = ()
    enabled: bool = True
    pairs: tuple[str, ...] = ()
    changed_at: datetime | None = None


@dataclass(frozen=True)
class FloatingIP:
    """A neutron floating IP. ``port_id`` has it as such (one to one); ``target_ids`` are the ports that it forwards to,
    None where neutron does not show them with it."""

    id: str
    address: str
    port_id: str | None = None
    project_id: str = ""
    network_id: str = ""
    router_id: str | None = None
    status: str = ""
    target_ids: tuple[str, ...] | None = None


#: First and last of a range of ports; the same number twice for one port.
Span = tuple[int, int]


@dataclass(frozen=True)
class PortForwarding:
    """A forwarding of a floating IP's ``external`` ports to the ``internal`` ones of a neutron port's ``address``.

    ``id`` is empty for one that is not made yet.
    """

    id: str
    floating_ip_id: str
    protocol: str
    external: Span
    internal: Span
    port_id: str
    address: str
    description: str = ""


@dataclass(frozen=True)
class Agent:
    """A neutron agent. An OVN one is listed from OVN's southbound database and has no row in neutron's.
    ``state`` is 'up' or 'down'; ``mode`` is an L3 agent's ``agent_mode``; one that is not ``enabled`` takes no work."""

    id: str
    type: str
    binary: str
    host: str
    state: str
    heartbeat: datetime | None = None
    mode: str | None = None
    enabled: bool = True

    @property
    def ovn(self) -> bool:
        """Whether it lives in OVN alone."""
        return self.type.startswith("OVN ") or self.binary.startswith(("ovn-", "neutron-ovn"))


@dataclass(frozen=True)
class Provider:
    """A placement resource provider; ``parent`` is None for the root of its tree."""

    uuid: str
    name: str
    generation: int
    root: str | None = None
    parent: str | None = None


@dataclass(frozen=True)
class Allocation:
    """What one consumer holds: provider uuid -> resource class -> amount. ``type`` is None before microversion 1.38."""

    consumer: str
    resources: dict[str, dict[str, int]]
    generation: int | None = None
    project_id: str | None = None
    type: str | None = None


@dataclass(frozen=True)
class Image:
    """A glance image (``GET /v2/images/ID``). ``properties`` are those beyond glance's own; ``stores`` the ids of the
    stores that have its data, where several stores are configured; ``size`` is in bytes."""

    id: str
    name: str
    project_id: str
    status: str
    visibility: str = "private"
    protected: bool = False
    size: int | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    stores: tuple[str, ...] = ()
    properties: MappingType[str, str] = field(default_factory=dict)

    @property
    def changed_at(self) -> datetime | None:
        """The last change, that of its creation included."""
        return self.updated_at or self.created_at


@dataclass(frozen=True)
class Store:
    """A store of glance. ``place`` tells where its data lies, None where glance does not tell."""

    id: str
    place: str | None = None
