"""All that the engine knows of the outside: protocols which gateways and test fakes implement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from opsfix.resources import (
    Agent,
    Aggregate,
    Allocation,
    Attachment,
    FloatingIP,
    Hypervisor,
    Image,
    Migration,
    Port,
    PortForwarding,
    Project,
    Provider,
    Server,
    Service,
    Span,
    Store,
    Volume,
)
from opsfix.resources import Mapping as BlockDeviceMapping


class Cloud(Protocol):
    """The services' APIs, as an administrator of all projects.

    Reads return None, or an empty listing, only for the owner's own 404 or a complete listing; they raise
    CloudUnknown for whatever else went wrong. Changes return when the service has accepted the request, and raise
    CloudRefused for a definite no (4xx) or CloudUnknown when the effect is not known.
    """

    @property
    def identity(self) -> str:
        """What names this cloud among others."""

    def volume(self, volume_id: str) -> Volume | None:
        """One volume, None when cinder answers 404."""

    def volumes(self, *, status: str | None = None, name: str | None = None) -> Iterator[Volume]:
        """Every project's volumes, page by page, filtered by cinder."""

    def attachments(self, *, volume_id: str | None = None, server_id: str | None = None) -> Iterator[Attachment]:
        """Every project's live attachments; ``connected`` is filled only when a volume or a server is named."""

    def server(self, server_id: str) -> Server | None:
        """One server, None when nova answers 404."""

    def servers(
        self, *, name: str | None = None, host: str | None = None, node: str | None = None, project: str | None = None
    ) -> Iterator[Server]:
        """Every project's servers, page by page: all, or those with exactly this name, host or hypervisor, or of a project.

        Raises CloudUnknown when a cell's part is missing.
        """

    def servers_of(self, image_id: str) -> Iterator[Server]:
        """Every project's servers that were booted from an image, soft-deleted ones included, and builds that have no
        host yet; raises CloudUnknown when a cell's part is missing."""

    def servers_soft_deleted(self) -> Iterator[Server]:
        """Every project's servers that are deleted and not reclaimed yet; raises CloudUnknown when a cell's part is missing."""

    def servers_building(self) -> Iterator[Server]:
        """Every project's servers that are being built; raises CloudUnknown when a cell's part is missing."""

    def mappings(self, server: Server) -> list[BlockDeviceMapping]:
        """The live volume mappings of a server (``os-volume_attachments``, 2.89)."""

    def migrations(self, server_id: str) -> list[Migration]:
        """The migration records of a server."""

    def compute_services(self) -> list[Service]:
        """nova's services of every cell; a down cell's have the state 'unknown'."""

    def volume_services(self) -> list[Service]:
        """cinder's services."""

    def transfers(self, volume_id: str) -> list[str]:
        """Ids of the pending transfers of a volume."""

    def reset_volume(self, volume_id: str, status: str, attach_status: str | None) -> None:
        """``os-reset_status`` with both fields at once (one alone leaves cinder inconsistent)."""

    def roll_detaching(self, volume_id: str) -> None:
        """``os-roll_detaching``: detaching -> in-use, no effect in any other state."""

    def create_attachment(self, volume_id: str, server_id: str) -> str:
        """Reserve the volume for the server; returns the attachment's id."""

    def complete_attachment(self, attachment_id: str) -> None:
        """``os-complete``: attachment attached, volume in-use."""

    def delete_attachment(self, attachment_id: str) -> None:
        """``DELETE /attachments/ID``."""

    def delete_volume(self, volume_id: str, *, force: bool) -> None:
        """Ask cinder-volume to delete the volume."""

    def cleanup_workers(self, volume_id: str) -> None:
        """``POST /workers/cleanup`` for one volume (3.24)."""

    def detach_volume(self, server_id: str, volume_id: str) -> None:
        """``DELETE /servers/ID/os-volume_attachments/VOLUME``."""

    def reset_server(self, server_id: str, state: str) -> None:
        """``os-resetState`` to 'active' or 'error'; takes its task away."""

    def unlock_server(self, server_id: str) -> None:
        """``unlock``."""

    def lock_server(self, server_id: str) -> None:
        """``lock``."""

    def delete_server(self, server_id: str, *, force: bool) -> None:
        """``DELETE /servers/ID``, or ``forceDelete``, which waits for no reclaim interval."""

    def catalogue(self) -> frozenset[str]:
        """The types of the services that keystone's catalogue lists, 'compute' for one."""

    @property
    def placement(self) -> Placement:
        """placement's API, under the same rules."""

    @property
    def network(self) -> Network:
        """neutron's API, under the same rules."""

    @property
    def images(self) -> Images:
        """glance's API, under the same rules."""

    @property
    def hosts(self) -> Hosts:
        """What nova and cinder tell of hosts, under the same rules."""

    @property
    def projects(self) -> Projects:
        """keystone's projects, under the same rules."""

    @property
    def power(self) -> Power:
        """nova's calls that start and stop guests, under the same rules."""

    @property
    def moves(self) -> Moves:
        """nova's calls that move servers to another host, under the same rules."""

    @property
    def manage(self) -> Manage:
        """The services' own commands on this host, under the same rules."""


class Projects(Protocol):
    """keystone's projects, under the rules of Cloud; who may not list them gets CloudRefused (403)."""

    def named(self, name: str) -> list[Project]:
        """Every domain's projects of exactly this name."""

    def project(self, project_id: str) -> Project | None:
        """One project, None when keystone answers 404."""


class Power(Protocol):
    """The guests of servers, under the rules of Cloud. A change that is accepted has set the server's task; it is over
    when the task is."""

    def runs(self, server_id: str) -> bool | None:
        """Whether the hypervisor says now that the guest runs; None where it cannot tell, or its host does not answer."""

    def stop(self, server_id: str) -> None:
        """``os-stop``: the guest is asked to shut down, then switched off."""

    def start(self, server_id: str) -> None:
        """``os-start``."""

    def reboot_hard(self, server_id: str) -> None:
        """``reboot`` HARD: the guest is switched off and made anew from nova's records."""

    def restore(self, server_id: str) -> None:
        """``restore``: take a server back from its soft deletion."""


class Hosts(Protocol):
    """nova and cinder by host, under the rules of Cloud. Hosts are compared exactly, whatever the services' databases do."""

    def hypervisors(self, *, with_servers: bool = False) -> Iterator[Hypervisor]:
        """Every node that nova shows, page by page; it hides those without a service or without a mapping of their host."""

    def migrations(self, host: str | None = None) -> Iterator[Migration]:
        """Every migration, or those from or to a host, page by page, over or not."""

    def aggregates(self) -> list[Aggregate]:
        """All host aggregates."""

    def volumes(self, backend: str) -> int:
        """How many volumes a cinder-volume (HOST, HOST@BACKEND) owns."""

    def disable_compute(self, service: str, reason: str = ...) -> None:
        """Disable a nova-compute by its service's uuid, with a reason: by default that its host is being purged."""

    def force_down(self, service: str) -> None:
        """Have nova call a nova-compute down at once."""

    def leave_aggregate(self, aggregate: int, host: str) -> None:
        """Take a host out of an aggregate; 404 once its service is gone."""

    def delete_compute(self, service: str) -> None:
        """``DELETE /os-services/UUID``: accepted is no proof that the resource provider is gone."""

    def disable_volume_service(self, binary: str, host: str) -> None:
        """Disable a service of cinder, with a reason."""

    def enable_compute(self, service: str) -> None:
        """Enable a nova-compute again."""

    def unforce_down(self, service: str) -> None:
        """Let nova judge by its heartbeat again whether a nova-compute is down."""

    def join_aggregate(self, aggregate: int, host: str) -> None:
        """Put a host into an aggregate."""

    def enable_volume_service(self, binary: str, host: str) -> None:
        """Enable a service of cinder again."""


class Moves(Protocol):
    """Servers on their way to another host, which nova's scheduler chooses, under the rules of Cloud. A change that is
    accepted has set the server's task; it is over when the task is."""

    def live_migrate(self, server_id: str) -> None:
        """``os-migrateLive``: the guest runs on; its local disks are copied where the hosts do not share them."""

    def migrate(self, server_id: str) -> None:
        """``migrate``: the guest is off meanwhile, and the old host keeps its disks until it is confirmed."""

    def confirm(self, server_id: str) -> None:
        """``confirmResize``: the old host lets go."""

    def evacuate(self, server_id: str) -> None:
        """``evacuate``: made anew elsewhere, from its image where the hosts share no storage; nova wants its host down."""

    def words(self, server_id: str) -> str:
        """What nova tells of the failure of the last thing that was done to a server; empty where it tells none."""


class Manage(Protocol):
    """``nova-manage`` and ``cinder-manage``, which write to their databases past every guard."""

    def available(self, service: str) -> bool:
        """Whether the command of a service is installed here, with the file that opsfix has its database from."""

    def remove_volume_service(self, binary: str, host: str) -> None:
        """``cinder-manage service remove``: soft-deletes one row, whatever lives or depends on it."""

    def discover_hosts(self, *, by_service: bool) -> None:
        """``nova-manage cell_v2 discover_hosts``, once a run; ``by_service`` finds hosts by their services, not by nodes."""


class Placement(Protocol):
    """placement, under the rules of Cloud."""

    def providers(self, *, name: str | None = None, tree: str | None = None, trait: str | None = None) -> list[Provider]:
        """All resource providers, those of one name (placement ignores its case), of the tree with this member, or that
        have a trait."""

    def allocation(self, consumer: str) -> Allocation | None:
        """What a consumer holds, None when nothing. Rows without a consumer's record are not seen."""

    def consumers(self, provider: str) -> dict[str, dict[str, int]]:
        """What is allocated from a provider: consumer -> resource class -> amount."""

    def usages(self, provider: str) -> dict[str, int]:
        """Resource class -> amount in use, rows without a consumer's record included."""

    def delete_allocation(self, consumer: str) -> None:
        """Take everything from a consumer."""

    def delete_provider(self, provider: str) -> None:
        """Delete one provider; refused (409) while it has children, allocations or inventory in use."""


class Network(Protocol):
    """neutron, under the rules of Cloud."""

    def port(self, port_id: str) -> Port | None:
        """One port, None when neutron answers 404."""

    def ports(
        self, *, device_id: str | None = None, host: str | None = None, name: str | None = None,
        network_id: str | None = None, ids: Sequence[str] | None = None, owners: Sequence[str] | None = None,
    ) -> Iterator[Port]:
        """Every project's ports, page by page: all, or those of a device, bound to a host, of exactly this name, of a
        network, with one of these ids (at most 100), or with one of these device_owners."""

    def ports_of(self, device_ids: Sequence[str]) -> Iterator[Port]:
        """Every port of these devices (at most 100), page by page: ids, network and addresses only."""

    def floating_ips(self, port_id: str) -> list[FloatingIP]:
        """The floating IPs that a port has as such."""

    def extensions(self) -> frozenset[str]:
        """The aliases of neutron's API extensions."""

    def floating_ip(self, floating_ip_id: str) -> FloatingIP | None:
        """One floating IP, None when neutron answers 404."""

    def every_floating_ip(
        self, *, addresses: Sequence[str] | None = None, router_id: str | None = None, port_ids: Sequence[str] | None = None,
    ) -> Iterator[FloatingIP]:
        """Every project's floating IPs, page by page: all, or those with one of these addresses, behind a router, or
        that one of these ports has as such (at most 100 each)."""

    def forwardings(
        self, floating_ip_id: str, *, protocol: str | None = None, external: Span | None = None
    ) -> list[PortForwarding]:
        """The port forwardings of a floating IP, all or those of one protocol and exactly these external ports."""

    def create_forwarding(self, forwarding: PortForwarding) -> str:
        """Make a port forwarding; returns its id. Its range fields are used only for what is a range."""

    def delete_forwarding(self, floating_ip_id: str, forwarding_id: str) -> None:
        """Delete a port forwarding. Two at once on one floating IP may leave it bound to its router."""

    def gateway_network(self, router_id: str) -> str | None:
        """The external network of a router, None where it has no gateway or neutron answers 404."""

    def subnet_gateways(self, network_id: str) -> dict[str, str | None]:
        """Subnet id -> gateway address, of a network's subnets."""

    def delete_port(self, port_id: str) -> None:
        """Delete a port."""

    def unbind_port(self, port_id: str) -> None:
        """Take a port from its server and its host."""

    def bind_port(self, port_id: str, host: str) -> None:
        """Have neutron bind a port to a host anew. Whether it could, the port's ``vif_type`` tells."""

    def agents(self, *, host: str | None = None) -> list[Agent]:
        """All agents, or those of one host, compared exactly (neutron itself ignores its case)."""

    def routers_of(self, agent_id: str) -> list[str]:
        """Ids of the routers that an L3 agent serves."""

    def networks_of(self, agent_id: str) -> list[str]:
        """Ids of the networks that a DHCP agent serves."""

    def agents_of_router(self, router_id: str) -> list[str]:
        """Ids of the L3 agents that serve a router."""

    def agents_of_network(self, network_id: str) -> list[str]:
        """Ids of the DHCP agents that serve a network."""

    def add_router(self, agent_id: str, router_id: str) -> None:
        """Give a router to an L3 agent."""

    def remove_router(self, agent_id: str, router_id: str) -> None:
        """Take a router from an L3 agent; its HA port there goes too."""

    def add_network(self, agent_id: str, network_id: str) -> None:
        """Give a network to a DHCP agent."""

    def remove_network(self, agent_id: str, network_id: str) -> None:
        """Take a network from a DHCP agent; its port is kept for the next one."""

    def delete_agent(self, agent_id: str) -> None:
        """Remove an agent's record; neutron asks not whether it lives."""


class Images(Protocol):
    """glance, under the rules of Cloud."""

    def image(self, image_id: str) -> Image | None:
        """One image, None when glance answers 404: also for one that waits for glance-scrubber."""

    def images(self, *, name: str | None = None, base: str | None = None) -> Iterator[Image]:
        """Every project's images, hidden ones included: all, those of exactly this name, or those made of a server
        that was booted from the image ``base``."""

    def newest(self, count: int) -> list[Image]:
        """The images that changed last."""

    def task_changed_at(self, task_id: str) -> datetime | None:
        """When an import last told of its progress, None when there is no such task."""

    def stores(self) -> list[Store]:
        """The stores of glance, none where it has a single one and does not name it."""

    def protect(self, image_id: str, *, protected: bool) -> None:
        """Let nobody delete the image, or let it be deleted."""

    def delete_image(self, image_id: str) -> None:
        """Delete the image and its data; with ``delayed_delete`` glance-scrubber takes the data later."""

    def forget_cached(self, image_id: str) -> None:
        """Take an image from the cache of the glance that answers (``DELETE /v2/cache/ID``, 2023.1 and later)."""


class Databases(Protocol):
    """The services' databases: read for facts, written only through checked files of ``sql/``."""

    def read(self, name: str, params: Mapping[str, Any], *, cell: str | None = None) -> list[dict[str, Any]]:
        """Rows of a read file (``NAME.DATABASE.sql``); from every cell of nova, each row with its ``cell``."""

    def names(self) -> Sequence[str]:
        """Databases that are configured: 'cinder', 'nova_api', 'nova' (its cells), ..."""

    def cell_names(self) -> Sequence[str]:
        """The cells of nova, each of which ``read`` takes as ``cell``."""

    def preview(self, name: str, params: Mapping[str, Any], *, cell: str | None = None) -> SqlOutcome:
        """What a fallback would do now, read in a read-only transaction."""

    def commit(self, name: str, params: Mapping[str, Any], record: Recorder, *, cell: str | None = None) -> SqlOutcome:
        """Run a fallback in one guarded transaction; ``record`` keeps its images durably before the change.

        Raises DatabaseRefused when a guard no longer holds, DatabaseUnknown when the commit's fate is not known.
        """


class SqlOutcome(Protocol):
    """What each statement of a fallback matches, or did: statement text, values, rows, before-images."""

    @property
    def statements(self) -> Sequence[Any]:
        """One entry a statement that changes rows, in order."""

    @property
    def refusal(self) -> str | None:
        """Which statement would not match the rows that it must, None when all do."""


class Recorder(Protocol):
    """Keeps what must survive: returns when the record is on disk."""

    def __call__(self, event: str, /, **data: Any) -> None: ...
