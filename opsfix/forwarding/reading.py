"""What is read around forwardings: several things at a time, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from opsfix.ports import Cloud
from opsfix.resources import FloatingIP, Port, PortForwarding

T = TypeVar("T")
K = TypeVar("K")
#: neutron_lib.constants.ROUTER_INTERFACE_OWNERS: the ports by which a router is in a subnet.
INTERFACES = ("network:router_interface", "network:router_interface_distributed", "network:ha_router_replicated_interface")
#: Ids in one query: an address of more would be too long for some proxies.
CHUNK = 50


class Reader:
    """Reads from a cloud, ``workers`` requests at a time."""

    def __init__(self, cloud: Cloud, workers: int):
        self.cloud, self.network, self.workers = cloud, cloud.network, workers

    def many(self, do: Callable[[K], T], inputs: Iterable[K]) -> dict[K, T]:
        """Input -> result of each different input; the first error ends it."""
        keys = list(dict.fromkeys(inputs))
        with ThreadPoolExecutor(self.workers, thread_name_prefix="opsfix-read") as pool:
            return dict(zip(keys, pool.map(do, keys), strict=True))

    def chunked(self, do: Callable[[Sequence[str]], Iterable[T]], ids: Iterable[str]) -> list[T]:
        """What one query for each CHUNK of ids lists, one after the other."""
        keys = sorted(set(ids))
        chunks = [tuple(keys[n : n + CHUNK]) for n in range(0, len(keys), CHUNK)]
        return [found for listed in self.many(lambda ids: list(do(ids)), chunks).values() for found in listed]

    def ports(self, ids: Iterable[str]) -> dict[str, Port]:
        """Those of the ports that there are."""
        return {p.id: p for p in self.chunked(lambda some: self.network.ports(ids=some), ids)}

    def forwardings(self, floating_ips: Iterable[FloatingIP]) -> dict[str, list[PortForwarding]]:
        """Floating IP's id -> its forwardings; asked only for those that have some."""
        known = {f.id: f for f in floating_ips}
        asked = [i for i, f in known.items() if f.target_ids is None or f.target_ids]
        return {i: [] for i in known} | self.many(self.network.forwardings, asked)

    def own_addresses(self, port_ids: Iterable[str]) -> dict[str, str]:
        """Port -> the floating IP that it has as such."""
        found = self.chunked(lambda some: self.network.every_floating_ip(port_ids=some), port_ids)
        return {f.port_id: f.address for f in found if f.port_id}

    def routes(self, network_ids: Iterable[str]) -> Routes:
        """How the routers lie between these networks and the external ones."""
        networks = sorted(set(network_ids))
        listed = self.many(lambda n: list(self.network.ports(network_id=n, owners=INTERFACES)), networks)
        interfaces = [p for ports in listed.values() for p in ports if p.device_owner in INTERFACES]
        gateways = self.many(self.network.gateway_network, (p.device_id for p in interfaces))
        subnets = self.many(self.network.subnet_gateways, networks)
        return Routes(tuple(interfaces), gateways, {s: a for found in subnets.values() for s, a in found.items()})


@dataclass(frozen=True)
class Routes:
    """Router interfaces, router -> external network, subnet -> its gateway's address."""

    interfaces: tuple[Port, ...]
    external: dict[str, str | None]
    subnet_gateways: dict[str, str | None]

    def leading(self, port: Port, address: str, floating_ip: FloatingIP) -> list[str]:
        """Ids of the routers by which neutron can lead a floating IP to a port's address.

        neutron (l3_db.get_router_for_floatingip) takes the one that is the subnet's gateway, else any.
        """
        subnet = dict(zip(port.addresses, port.subnet_ids, strict=False)).get(address)
        found = [
            (p.device_id, own) for p in self.interfaces for own, s in zip(p.addresses, p.subnet_ids, strict=False)
            if s == subnet and self.external.get(p.device_id) == floating_ip.network_id
        ]
        gateway = [router for router, own in found if subnet and own == self.subnet_gateways.get(subnet)]
        return sorted({*gateway} or {router for router, _ in found})
