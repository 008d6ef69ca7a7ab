"""The services' APIs through openstacksdk, cinderclient and novaclient where the SDK has no call.

Everything that a client library raises leaves as CloudRefused, CloudUnknown or, for a broken set-up, ConfigError.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import openstack
from cinderclient import client as cinder_client
from novaclient import client as nova_client
from openstack import exceptions as sdk_errors
from openstack.utils import maximum_supported_microversion
from requests.adapters import HTTPAdapter

from opsfix.errors import CloudRefused, CloudUnknown, ConfigError
from opsfix.gateways.calls import CLIENT_ERRORS, change, one, onward, paged, read, time, told
from opsfix.gateways.hosts import Hosts
from opsfix.gateways.images import Images
from opsfix.gateways.manage import Manage
from opsfix.gateways.moves import Moves
from opsfix.gateways.network import Network
from opsfix.gateways.placement import Placement
from opsfix.gateways.power import Power
from opsfix.gateways.projects import Projects
from opsfix.resources import Attachment, Mapping, Migration, Server, Service, Volume

PAGE = 1000
#: No service limits its pages to so few.
FEW = 10
#: What the reads below need at most; an older cloud is asked by its own newest. Nova's 2.69 shows servers of a cell that is down.
NEWEST = {"block_storage": "3.71", "compute": "2.69"}


class OpenStackCloud:
    """See ports.Cloud. Connects at the first call; usable from several threads."""

    def __init__(
        self,
        cloud: str | None = None,
        region: str | None = None,
        *,
        timeout: float = 90.0,
        workers: int = 8,
        files: dict[str, Path] | None = None,
    ):
        """``timeout`` is in seconds for each HTTP request: longer than an RPC time-out of the services (60). ``files`` are
        the services' own, for their commands."""
        self._cloud, self._region, self._timeout, self._workers = cloud, region, timeout, workers
        self.manage = Manage(files or {})

    @cached_property
    def _sdk(self) -> Any:
        logging.getLogger("keystoneauth.identity").setLevel(logging.ERROR)
        try:
            connection: Any = openstack.connect(
                cloud=self._cloud, region_name=self._region, app_name="opsfix", api_timeout=self._timeout,
            )
        except CLIENT_ERRORS as e:
            raise ConfigError(
                f"no usable cloud ({told(e)}): set OS_CLOUD or --os-cloud for clouds.yaml, or the OS_* variables"
            ) from e
        for adapter in connection.session.session.adapters.values():
            # ten connections are kept otherwise, and each further one is made anew
            cast("HTTPAdapter", adapter).init_poolmanager(connections=10, maxsize=max(10, self._workers))
        return connection

    @cached_property
    def _cinder(self) -> Any:
        endpoint = self._sdk.block_storage.get_endpoint()
        return cinder_client.Client("3.24", session=self._sdk.session, endpoint_override=endpoint, retries=0)

    @cached_property
    def _nova(self) -> Any:
        return nova_client.Client(
            "2.89", session=self._sdk.session, endpoint_override=self._sdk.compute.get_endpoint()
        )

    def _proxy(self, service: str) -> Any:
        """The SDK's side of a service, which it asks for its versions right away; raises CloudUnknown for one that is dead."""
        return read(lambda: getattr(self._sdk, service))

    @cached_property
    def placement(self) -> Placement:
        """See ports.Cloud."""
        return Placement(self._proxy("placement"))

    @cached_property
    def hosts(self) -> Hosts:
        """See ports.Cloud."""
        return Hosts(self._sdk.compute, self._sdk.block_storage)

    @cached_property
    def network(self) -> Network:
        """See ports.Cloud."""
        return Network(self._proxy("network"))

    @cached_property
    def images(self) -> Images:
        """See ports.Cloud."""
        return Images(self._proxy("image"))

    @cached_property
    def moves(self) -> Moves:
        """See ports.Cloud."""
        return Moves(self._sdk.compute)

    @cached_property
    def projects(self) -> Projects:
        """See ports.Cloud."""
        return Projects(self._proxy("identity"))

    @cached_property
    def power(self) -> Power:
        """See ports.Cloud."""
        return Power(self._sdk.compute)

    @cached_property
    def _microversions(self) -> dict[str, str | None]:
        return {name: maximum_supported_microversion(getattr(self._sdk, name), newest) for name, newest in NEWEST.items()}

    def _body(self, service: str, path: str, query: dict[str, Any]) -> Any:
        """What a service answers, as it is: the SDK's resources take longer to make than the answer takes to send."""
        answer = getattr(self._sdk, service).get(path, params=query, microversion=self._microversions[service])
        sdk_errors.raise_from_response(answer)
        return answer.json()

    def _all(self, service: str, path: str, key: str, *, unlinked: int | None = None, **query: Any) -> Iterator[Any]:
        """A listing of every project, page by page, until the service names no next one.

        Where it never names one, ``unlinked`` is the length below which a page is the last: 1 is sure, for a page may
        be as short as the service's own limit makes it.
        """
        asked = {k: v for k, v in query.items() if v is not None} | {"all_tenants": "True", "limit": PAGE}
        while True:
            body = self._body(service, path, asked)
            yield from body[key]
            named = any(link["rel"] == "next" for link in body.get(f"{key}_links", ()))
            if not body[key] or (not named if unlinked is None else len(body[key]) < unlinked):
                return
            asked["marker"] = onward(body[key], "id", asked.get("marker"))

    def connect(self) -> None:
        """Log in and find the endpoints now; raises ConfigError that says what is missing."""
        try:
            read(self._sdk.authorize)
            for name in ("compute", "block_storage"):
                if not read(lambda name=name: getattr(self._sdk, name).get_endpoint()):  # type: ignore[misc]
                    raise ConfigError(f"the service catalogue has no {name.replace('_', '-')} endpoint in this region")
            self._microversions, self._cinder  # noqa: B018  (made here: cached_property is not meant for several threads at once)
        except (CloudRefused, CloudUnknown) as e:
            raise ConfigError(f"the cloud cannot be reached: {e}") from e

    @property
    def identity(self) -> str:
        """What names this cloud among others: its keystone URL and region."""
        config = self._sdk.config
        return f"{config.get_auth_args().get('auth_url', '')} {config.get_region_name('identity') or ''}".strip()

    def versions(self) -> dict[str, str]:
        """The newest microversion that nova and cinder offer."""
        nova = read(self._nova.versions.get_current)
        cinder = read(self._sdk.block_storage.get_endpoint_data)
        return {
            "compute": str(getattr(nova, "version", "?")),
            "block-storage": ".".join(map(str, getattr(cinder, "max_microversion", None) or ("?",))),
        }

    # reads

    def catalogue(self) -> frozenset[str]:
        """See ports.Cloud."""
        session = self._sdk.session
        listed = read(lambda: session.auth.get_access(session).service_catalog.catalog)
        return frozenset(str(service["type"]) for service in listed)

    def volume(self, volume_id: str) -> Volume | None:
        """See ports.Cloud."""
        return one(lambda: _volume(self._body("block_storage", f"/volumes/{volume_id}", {})["volume"]))

    def volumes(self, *, status: str | None = None, name: str | None = None) -> Iterator[Volume]:
        """See ports.Cloud."""
        return paged(lambda: self._all("block_storage", "/volumes/detail", "volumes", status=status, name=name), _volume)

    def attachments(self, *, volume_id: str | None = None, server_id: str | None = None) -> Iterator[Attachment]:
        """See ports.Cloud."""
        if volume_id is None and server_id is None:
            return paged(lambda: self._all("block_storage", "/attachments", "attachments", unlinked=1), _attachment)
        path = "/attachments/detail"
        found = read(lambda: [
            _attachment(a)
            for a in self._all("block_storage", path, "attachments", unlinked=FEW, volume_id=volume_id, instance_id=server_id)
        ])
        return iter([a for a in found if volume_id in (None, a.volume_id) and server_id in (None, a.server_id)])

    def server(self, server_id: str) -> Server | None:
        """See ports.Cloud."""
        return one(lambda: _server(self._body("compute", f"/servers/{server_id}", {})["server"]))

    def servers(
        self, *, name: str | None = None, host: str | None = None, node: str | None = None, project: str | None = None
    ) -> Iterator[Server]:
        """See ports.Cloud. nova takes a name and a node for a regular expression, and compares without regard to case."""
        asked = {"name": _plain(name), "host": host, "node": _plain(node), "project_id": project}
        for server in self._answered(**asked):
            told = (name in (None, server.name), host in (None, server.host), node in (None, server.node))
            if all(told) and project in (None, server.project_id):
                yield server

    def newest_servers(self, count: int) -> list[str]:
        """The ids of the servers that were made last, so many of those that live and of those that are deleted."""
        asked = {"all_tenants": "True", "limit": count, "sort_key": "created_at", "sort_dir": "desc"}
        return [
            str(s["id"]) for deleted in ("False", "True")
            for s in read(lambda deleted=deleted: self._body("compute", "/servers", asked | {"deleted": deleted}))["servers"]  # type: ignore[misc]
        ]

    def servers_of(self, image_id: str) -> Iterator[Server]:
        """See ports.Cloud."""
        return self._answered(image=image_id, soft_deleted="True")

    def servers_soft_deleted(self) -> Iterator[Server]:
        """See ports.Cloud."""
        return self._answered(status="SOFT_DELETED", soft_deleted="True")

    def servers_building(self) -> Iterator[Server]:
        """See ports.Cloud."""
        return self._answered(status="BUILD")

    def _answered(self, **query: Any) -> Iterator[Server]:
        for server in paged(lambda: self._all("compute", "/servers/detail", "servers", **query), _server):
            if not server.answered:
                raise CloudUnknown(f"the cell of server {server.id} is down, so the listing of servers is not complete")
            yield server

    def mappings(self, server: Server) -> list[Mapping]:
        """See ports.Cloud."""
        found = read(lambda: [
            _mapping(a, server) for a in self._sdk.compute.volume_attachments(server.id, paginated=False)
        ])
        return [m for m in found if m.volume_id]

    def migrations(self, server_id: str) -> list[Migration]:
        """See ports.Cloud."""
        return self.hosts.migrations_of(server_id)

    def compute_services(self) -> list[Service]:
        """See ports.Cloud."""
        return read(lambda: [_service(s) for s in self._sdk.compute.services()])

    def volume_services(self) -> list[Service]:
        """See ports.Cloud."""
        return read(lambda: [_service(s) for s in self._sdk.block_storage.services()])

    def transfers(self, volume_id: str) -> list[str]:
        """See ports.Cloud."""
        return read(lambda: [
            str(t.id)
            for t in self._sdk.block_storage.transfers(details=True, all_projects=True, limit=PAGE)
            if t.volume_id == volume_id
        ])

    # changes

    def reset_volume(self, volume_id: str, status: str, attach_status: str | None) -> None:
        """See ports.Cloud."""
        change(lambda: self._sdk.block_storage.reset_volume_status(volume_id, status, attach_status, None))

    def roll_detaching(self, volume_id: str) -> None:
        """See ports.Cloud."""
        change(lambda: self._sdk.block_storage.abort_volume_detaching(volume_id))

    def create_attachment(self, volume_id: str, server_id: str) -> str:
        """See ports.Cloud."""
        return str(change(
            lambda: self._sdk.block_storage.create_attachment(volume_id, instance=server_id, connector=None).id
        ))

    def complete_attachment(self, attachment_id: str) -> None:
        """See ports.Cloud."""
        change(lambda: self._sdk.block_storage.complete_attachment(attachment_id))

    def delete_attachment(self, attachment_id: str) -> None:
        """See ports.Cloud."""
        change(lambda: self._sdk.block_storage.delete_attachment(attachment_id, ignore_missing=False))

    def delete_volume(self, volume_id: str, *, force: bool) -> None:
        """See ports.Cloud."""
        change(lambda: self._sdk.block_storage.delete_volume(volume_id, ignore_missing=False, force=force))

    def cleanup_workers(self, volume_id: str) -> None:
        """See ports.Cloud. Through cinderclient: older SDKs have no such call."""
        change(lambda: self._cinder.workers.clean(resource_type="Volume", resource_id=volume_id))

    def detach_volume(self, server_id: str, volume_id: str) -> None:
        """See ports.Cloud."""
        change(lambda: self._sdk.compute.delete_volume_attachment(server_id, volume_id, ignore_missing=False))

    def reset_server(self, server_id: str, state: str) -> None:
        """See ports.Cloud."""
        change(lambda: self._sdk.compute.reset_server_state(server_id, state))

    def unlock_server(self, server_id: str) -> None:
        """See ports.Cloud."""
        change(lambda: self._sdk.compute.unlock_server(server_id))

    def lock_server(self, server_id: str) -> None:
        """See ports.Cloud."""
        change(lambda: self._sdk.compute.lock_server(server_id))

    def delete_server(self, server_id: str, *, force: bool) -> None:
        """See ports.Cloud."""
        change(lambda: self._sdk.compute.delete_server(server_id, ignore_missing=False, force=force))


def _plain(text: str | None) -> str | None:
    """What may be asked for as a regular expression that finds at least itself, else None: then all are listed."""
    return text if text and re.fullmatch(r"[\w .:-]+", text, re.ASCII) else None


def _volume(v: dict[str, Any]) -> Volume:
    return Volume(
        id=v["id"],
        name=v.get("name") or "",
        project_id=v.get("os-vol-tenant-attr:tenant_id") or "",
        status=v["status"],
        migration_status=v.get("os-vol-mig-status-attr:migstat"),
        host=v.get("os-vol-host-attr:host"),
        multiattach=bool(v.get("multiattach")),
        group_id=v.get("group_id") or v.get("consistencygroup_id"),
        created_at=time(v.get("created_at")),
        updated_at=time(v.get("updated_at")),
        hosts=tuple((a["attachment_id"], a.get("host_name")) for a in v.get("attachments") or []),
        size=v.get("size") or 0,
        image_id=(v.get("volume_image_metadata") or {}).get("image_id"),
        copied=bool(v.get("snapshot_id") or v.get("source_volid")),
    )


def _attachment(a: dict[str, Any]) -> Attachment:
    return Attachment(
        id=a["id"],
        volume_id=a["volume_id"],
        status=a["status"],
        server_id=a.get("instance") or None,
        connected=bool(a.get("connection_info")),
    )


def _server(s: dict[str, Any]) -> Server:
    return Server(
        id=s["id"],
        name=s.get("name") or "",
        project_id=s.get("tenant_id") or "",
        vm_state=s.get("OS-EXT-STS:vm_state"),
        task_state=s.get("OS-EXT-STS:task_state"),
        power_state=s.get("OS-EXT-STS:power_state"),
        host=s.get("OS-EXT-SRV-ATTR:host"),
        locked=bool(s.get("locked")),
        root_device=s.get("OS-EXT-SRV-ATTR:root_device_name"),
        volume_ids=tuple(v["id"] for v in s.get("os-extended-volumes:volumes_attached") or []),
        answered=s["status"] != "UNKNOWN",
        node=s.get("OS-EXT-SRV-ATTR:hypervisor_hostname"),
        updated_at=time(s.get("updated")),
        doomed_ids=tuple(
            v["id"] for v in s.get("os-extended-volumes:volumes_attached") or [] if v.get("delete_on_termination")
        ),
        image_id=(s.get("image") or {}).get("id"),
        launched_at=time(s.get("OS-SRV-USG:launched_at")),
        fault=(s.get("fault") or {}).get("message"),
    )


def _mapping(a: Any, server: Server) -> Mapping:
    return Mapping(
        server_id=server.id,
        volume_id=a.volume_id,
        attachment_id=a.attachment_id,
        uuid=a.bdm_id,
        root=bool(a.device) and a.device == server.root_device,
        device=a.device,
    )


def _service(s: Any) -> Service:
    state = s.state if s.state in ("up", "down") else "unknown"
    uuid = s.id if isinstance(s.id, str) and "-" in s.id else None
    forced = bool(getattr(s, "is_forced_down", False))
    return Service(
        binary=s.binary, host=s.host, state=state, uuid=uuid, updated_at=time(s.updated_at), forced_down=forced,
        status=s.status or "enabled", cluster=getattr(s, "cluster", None) or None,
    )
