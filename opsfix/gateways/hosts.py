"""What the services tell of hosts, and the calls that take one out of service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openstack import exceptions as sdk_errors

from opsfix.gateways.calls import change, onward, paged, read
from opsfix.resources import Aggregate, Hypervisor, Migration

PAGE = 1000
#: 2.53 names services and hypervisors by uuid, 2.59 pages migrations and shows their uuid.
BY_UUID, MIGRATIONS = "2.53", "2.59"
#: What nova and cinder note as the reason beside a service that was disabled.
REASON = "opsfix: the host is being purged"


class Hosts:
    """See ports.Hosts."""

    def __init__(self, compute: Any, block_storage: Any):
        self._compute, self._block_storage = compute, block_storage

    def _pages(self, service: Any, path: str, key: str, version: str | None, marker: str, **query: Any) -> Iterator[Any]:
        """A listing page by page; ``marker`` is the key by which the service goes on."""
        asked = query | {"limit": PAGE}
        while True:
            answer = service.get(path, params=asked, microversion=version)
            sdk_errors.raise_from_response(answer)
            body = answer.json()
            yield from body[key]
            if not body[key] or not any(link["rel"] == "next" for link in body.get(f"{key}_links", ())):
                return
            asked["marker"] = onward(body[key], marker, asked.get("marker"))

    def _send(self, service: Any, method: str, path: str, body: Any = None, version: str | None = None) -> None:
        answer = getattr(service, method)(path, microversion=version, **({"json": body} if body is not None else {}))
        sdk_errors.raise_from_response(answer)

    # reads

    def hypervisors(self, *, with_servers: bool = False) -> Iterator[Hypervisor]:
        """See ports.Hosts."""
        path, query = "/os-hypervisors/detail", {"with_servers": "true"} if with_servers else {}
        return paged(
            lambda: self._pages(self._compute, path, "hypervisors", BY_UUID, "id", **query),
            lambda h: Hypervisor(
                h["id"], h["hypervisor_hostname"], h["service"]["host"], len(h.get("servers") or ()) if with_servers else None
            ),
        )

    def migrations(self, host: str | None = None) -> Iterator[Migration]:
        """See ports.Hosts."""
        if host is None:
            return (_migration(m) for m in self._migrations())
        return (_migration(m) for m in self._migrations(host=host) if host in (m["source_compute"], m["dest_compute"]))

    def migrations_of(self, server_id: str) -> list[Migration]:
        """Those of one server: the SDK pages them by id, which nova refuses from the second page on."""
        return read(lambda: [_migration(m) for m in self._migrations(instance_uuid=server_id)])

    def _migrations(self, **query: Any) -> Iterator[dict[str, Any]]:
        return paged(
            lambda: self._pages(self._compute, "/os-migrations", "migrations", MIGRATIONS, "uuid", **query), lambda m: m
        )

    def aggregates(self) -> list[Aggregate]:
        """See ports.Hosts."""

        def listed() -> list[Aggregate]:
            answer = self._compute.get("/os-aggregates", microversion=BY_UUID)
            sdk_errors.raise_from_response(answer)
            return [Aggregate(a["id"], a["name"], tuple(a["hosts"])) for a in answer.json()["aggregates"]]

        return read(listed)

    def volumes(self, backend: str) -> int:
        """See ports.Hosts."""
        query = {"host": backend, "all_tenants": "True"}
        path = "/volumes/detail"
        return len(list(paged(
            lambda: self._pages(self._block_storage, path, "volumes", None, "id", **query), lambda v: str(v["id"])
        )))

    # changes

    def disable_compute(self, service: str, reason: str = REASON) -> None:
        """See ports.Hosts."""
        body = {"status": "disabled", "disabled_reason": reason}
        change(lambda: self._send(self._compute, "put", f"/os-services/{service}", body, BY_UUID))

    def force_down(self, service: str) -> None:
        """See ports.Hosts."""
        change(lambda: self._send(self._compute, "put", f"/os-services/{service}", {"forced_down": True}, BY_UUID))

    def leave_aggregate(self, aggregate: int, host: str) -> None:
        """See ports.Hosts."""
        body = {"remove_host": {"host": host}}
        change(lambda: self._send(self._compute, "post", f"/os-aggregates/{aggregate}/action", body, BY_UUID))

    def delete_compute(self, service: str) -> None:
        """See ports.Hosts."""
        change(lambda: self._send(self._compute, "delete", f"/os-services/{service}", None, BY_UUID))

    def disable_volume_service(self, binary: str, host: str) -> None:
        """See ports.Hosts."""
        body = {"binary": binary, "host": host, "disabled_reason": REASON}
        change(lambda: self._send(self._block_storage, "put", "/os-services/disable-log-reason", body))

    def enable_compute(self, service: str) -> None:
        """See ports.Hosts."""
        change(lambda: self._send(self._compute, "put", f"/os-services/{service}", {"status": "enabled"}, BY_UUID))

    def unforce_down(self, service: str) -> None:
        """See ports.Hosts."""
        change(lambda: self._send(self._compute, "put", f"/os-services/{service}", {"forced_down": False}, BY_UUID))

    def join_aggregate(self, aggregate: int, host: str) -> None:
        """See ports.Hosts."""
        body = {"add_host": {"host": host}}
        change(lambda: self._send(self._compute, "post", f"/os-aggregates/{aggregate}/action", body, BY_UUID))

    def enable_volume_service(self, binary: str, host: str) -> None:
        """See ports.Hosts."""
        change(lambda: self._send(self._block_storage, "put", "/os-services/enable", {"binary": binary, "host": host}))


def _migration(m: dict[str, Any]) -> Migration:
    return Migration(
        int(m["id"]), m["instance_uuid"], str(m["status"]), m.get("migration_type"), m["uuid"], m.get("source_compute"),
        m.get("dest_compute"),
    )
