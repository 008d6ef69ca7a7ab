"""placement through the session of openstacksdk, which has no calls for allocations."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from openstack import exceptions as sdk_errors
from openstack.utils import maximum_supported_microversion

from opsfix.gateways.calls import change, one, read
from opsfix.resources import Allocation, Provider

#: 1.38 tells a consumer's type; 1.28 its generation.
NEWEST = "1.38"


class Placement:
    """See ports.Placement."""

    def __init__(self, proxy: Any):
        self._proxy = proxy

    @cached_property
    def _version(self) -> str | None:
        found: str | None = maximum_supported_microversion(self._proxy, NEWEST)
        return found

    def _get(self, path: str, **query: Any) -> Any:
        answer = self._proxy.get(path, params={k: v for k, v in query.items() if v is not None}, microversion=self._version)
        sdk_errors.raise_from_response(answer)
        return answer.json()

    def _delete(self, path: str) -> None:
        sdk_errors.raise_from_response(self._proxy.delete(path, microversion=self._version))

    def providers(self, *, name: str | None = None, tree: str | None = None, trait: str | None = None) -> list[Provider]:
        """See ports.Placement."""
        found = read(
            lambda: self._get("/resource_providers", name=name, in_tree=tree, required=trait)["resource_providers"]
        )
        return [
            Provider(p["uuid"], p["name"], p["generation"], p.get("root_provider_uuid"), p.get("parent_provider_uuid"))
            for p in found
        ]

    def allocation(self, consumer: str) -> Allocation | None:
        """See ports.Placement."""
        body = read(lambda: self._get(f"/allocations/{consumer}"))
        held = {provider: dict(a["resources"]) for provider, a in body["allocations"].items()}
        if not held:
            return None
        return Allocation(consumer, held, body.get("consumer_generation"), body.get("project_id"), body.get("consumer_type"))

    def consumers(self, provider: str) -> dict[str, dict[str, int]]:
        """See ports.Placement."""
        body = one(lambda: self._get(f"/resource_providers/{provider}/allocations")) or {"allocations": {}}
        return {consumer: dict(a["resources"]) for consumer, a in body["allocations"].items()}

    def usages(self, provider: str) -> dict[str, int]:
        """See ports.Placement."""
        body = one(lambda: self._get(f"/resource_providers/{provider}/usages")) or {"usages": {}}
        return dict(body["usages"])

    def delete_allocation(self, consumer: str) -> None:
        """See ports.Placement."""
        change(lambda: self._delete(f"/allocations/{consumer}"))

    def delete_provider(self, provider: str) -> None:
        """See ports.Placement."""
        change(lambda: self._delete(f"/resource_providers/{provider}"))
