"""neutron through openstacksdk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from opsfix.gateways.calls import change, one, paged, read, time
from opsfix.gateways.forwarding import Forwarding
from opsfix.resources import Agent, FloatingIP, Port

PAGE = 1000


class Network(Forwarding):
    """See ports.Network."""

    def port(self, port_id: str) -> Port | None:
        """See ports.Network."""
        return one(lambda: _port(self._proxy.get_port(port_id)))

    def ports(
        self, *, device_id: str | None = None, host: str | None = None, name: str | None = None,
        network_id: str | None = None, ids: Sequence[str] | None = None, owners: Sequence[str] | None = None,
    ) -> Iterator[Port]:
        """See ports.Network."""
        asked = {
            "device_id": device_id, "binding_host_id": host, "name": name, "network_id": network_id, "id": ids,
            "device_owner": owners,
        }
        query = {k: v for k, v in asked.items() if v is not None}
        for port in paged(lambda: self._proxy.ports(limit=PAGE, **query), _port):
            if name in (None, port.name):
                yield port

    def ports_of(self, device_ids: Sequence[str]) -> Iterator[Port]:
        """See ports.Network. Only what a list of addresses shows: neutron answers twice as fast."""
        asked = {"device_id": device_ids, "fields": ["id", "device_id", "network_id", "fixed_ips"]}
        return paged(lambda: self._listed("/ports", "ports", **asked), lambda p: Port(
            p["id"], "", "", p["device_id"], "", p["network_id"], "", addresses=tuple(f["ip_address"] for f in p["fixed_ips"])
        ))

    def floating_ips(self, port_id: str) -> list[FloatingIP]:
        """See ports.Network."""
        return read(lambda: [
            FloatingIP(f.id, f.floating_ip_address, f.port_id) for f in self._proxy.ips(port_id=port_id)
        ])

    def delete_port(self, port_id: str) -> None:
        """See ports.Network."""
        change(lambda: self._proxy.delete_port(port_id, ignore_missing=False))

    def unbind_port(self, port_id: str) -> None:
        """See ports.Network."""
        change(lambda: self._proxy.update_port(port_id, device_id="", device_owner="", binding_host_id=""))

    def bind_port(self, port_id: str, host: str) -> None:
        """See ports.Network."""
        change(lambda: self._proxy.update_port(port_id, binding_host_id=host))

    def agents(self, *, host: str | None = None) -> list[Agent]:
        """See ports.Network."""
        query = {} if host is None else {"host": host}
        return [a for a in read(lambda: [_agent(a) for a in self._proxy.agents(**query)]) if host in (None, a.host)]

    def routers_of(self, agent_id: str) -> list[str]:
        """See ports.Network."""
        return read(lambda: [str(r.id) for r in self._proxy.agent_hosted_routers(agent_id)])

    def networks_of(self, agent_id: str) -> list[str]:
        """See ports.Network."""
        return read(lambda: [str(n.id) for n in self._proxy.dhcp_agent_hosting_networks(agent_id)])

    def agents_of_router(self, router_id: str) -> list[str]:
        """See ports.Network."""
        return read(lambda: [str(a.id) for a in self._proxy.routers_hosting_l3_agents(router_id)])

    def agents_of_network(self, network_id: str) -> list[str]:
        """See ports.Network."""
        return read(lambda: [str(a.id) for a in self._proxy.network_hosting_dhcp_agents(network_id)])

    def add_router(self, agent_id: str, router_id: str) -> None:
        """See ports.Network."""
        change(lambda: self._proxy.add_router_to_agent(agent_id, router_id))

    def remove_router(self, agent_id: str, router_id: str) -> None:
        """See ports.Network."""
        change(lambda: self._proxy.remove_router_from_agent(agent_id, router_id))

    def add_network(self, agent_id: str, network_id: str) -> None:
        """See ports.Network."""
        change(lambda: self._proxy.add_dhcp_agent_to_network(agent_id, network_id))

    def remove_network(self, agent_id: str, network_id: str) -> None:
        """See ports.Network."""
        change(lambda: self._proxy.remove_dhcp_agent_from_network(agent_id, network_id))

    def delete_agent(self, agent_id: str) -> None:
        """See ports.Network."""
        change(lambda: self._proxy.delete_agent(agent_id, ignore_missing=False))


def _port(p: Any) -> Port:
    return Port(
        id=p.id,
        name=p.name or "",
        project_id=p.project_id or "",
        device_id=p.device_id or "",
        device_owner=p.device_owner or "",
        network_id=p.network_id,
        status=p.status,
        host=p.binding_host_id or None,
        vif_type=p.binding_vif_type or None,
        addresses=tuple(f["ip_address"] for f in p.fixed_ips or []),
        subnet_ids=tuple(f["subnet_id"] for f in p.fixed_ips or []),
        enabled=p.is_admin_state_up is not False,
        pairs=tuple(pair["ip_address"] for pair in p.allowed_address_pairs or []),
        changed_at=time(p.updated_at),
    )


def _agent(a: Any) -> Agent:
    return Agent(
        id=a.id,
        type=a.agent_type,
        binary=a.binary,
        host=a.host,
        state="up" if a.is_alive else "down",
        heartbeat=time(a.last_heartbeat_at),
        mode=(a.configuration or {}).get("agent_mode"),
        enabled=bool(a.is_admin_state_up),
    )
