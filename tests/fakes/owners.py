"""What placement and neutron keep for servers and hosts, in memory and with their answers.

Sources: placement/objects/resource_provider.py (_delete), placement/handlers/allocation.py, neutron/db/db_base_plugin_v2.py
(delete_port), neutron/db/l3_db.py (prevent_l3_port_deletion).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from opsfix.errors import CloudRefused
from opsfix.resources import Allocation, Port, Provider

#: Ports that neutron deletes with what they are of, and not alone.
OF_ROUTERS = frozenset({"network:router_interface", "network:router_gateway", "network:floatingip"})


class PlacementRows:
    """ports.Placement over rows: ``tree`` are the providers, ``traits`` theirs, ``held`` the allocations by consumer,
    ``hidden`` what rows without a consumer's record use of a provider."""

    tree: dict[str, Provider]
    traits: dict[str, set[str]]
    held: dict[str, Allocation]
    hidden: dict[str, dict[str, int]]

    def _send(self, *what: Any) -> None:
        """Hears of each change before it is made."""

    def add_provider(self, uuid: str, name: str, parent: str | None = None) -> None:
        """A provider, a root or a child."""
        root = self.tree[parent].root if parent else uuid
        self.tree[uuid] = Provider(uuid, name, 1, root, parent)

    def allocate(self, consumer: str, provider: str, **resources: int) -> None:
        """Give a server's consumer, new to placement, something of a provider, whose generation rises by it."""
        self.held[consumer] = Allocation(consumer, {provider: resources}, 1, "project", "INSTANCE")
        self.tree[provider] = replace(self.tree[provider], generation=self.tree[provider].generation + 1)

    def providers(self, *, name: str | None = None, tree: str | None = None, trait: str | None = None) -> list[Provider]:
        """See ports.Placement."""
        root = self.tree[tree].root if tree in self.tree else tree
        return [
            p for p in self.tree.values()
            if (name is None or p.name.lower() == name.lower()) and (tree is None or p.root == root)
            and (trait is None or trait in self.traits.get(p.uuid, ()))
        ]

    def allocation(self, consumer: str) -> Allocation | None:
        """See ports.Placement."""
        return self.held.get(consumer)

    def consumers(self, provider: str) -> dict[str, dict[str, int]]:
        """See ports.Placement."""
        return {c: a.resources[provider] for c, a in self.held.items() if provider in a.resources}

    def usages(self, provider: str) -> dict[str, int]:
        """See ports.Placement."""
        used = dict(self.hidden.get(provider, {}))
        for resources in self.consumers(provider).values():
            for name, amount in resources.items():
                used[name] = used.get(name, 0) + amount
        return used

    def delete_allocation(self, consumer: str) -> None:
        """See ports.Placement."""
        self._send("delete_allocation", consumer)
        if self.held.pop(consumer, None) is None:
            raise CloudRefused(404, f"No allocations for consumer '{consumer}'")

    def delete_provider(self, provider: str) -> None:
        """See ports.Placement."""
        self._send("delete_provider", provider)
        if provider not in self.tree:
            raise CloudRefused(404, f"No resource provider with uuid {provider} found for delete")
        if any(self.usages(provider).values()) or any(p.parent == provider for p in self.tree.values()):
            raise CloudRefused(409, "Unable to delete resource provider")
        del self.tree[provider]


class PortRows:
    """The part of ports.Network that frees ports, over rows by their ids."""

    listed: dict[str, Port]

    def _port(self, port_id: str) -> Port:
        if port_id not in self.listed:
            raise CloudRefused(404, f"Port {port_id} could not be found.")
        return self.listed[port_id]

    def port(self, port_id: str) -> Port | None:
        """See ports.Network."""
        return self.listed.get(port_id)

    def ports(self, *, device_id: str | None = None, host: str | None = None) -> Iterator[Port]:
        """See ports.Network."""
        return (p for p in list(self.listed.values()) if device_id in (None, p.device_id) and host in (None, p.host))

    def delete_port(self, port_id: str) -> None:
        """See ports.Network."""
        if self._port(port_id).device_owner in OF_ROUTERS:
            raise CloudRefused(409, f"Port {port_id} cannot be deleted directly via the port API")
        del self.listed[port_id]

    def unbind_port(self, port_id: str) -> None:
        """See ports.Network."""
        self.listed[port_id] = replace(self._port(port_id), device_id="", device_owner="", host=None)
