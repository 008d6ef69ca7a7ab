"""neutron's floating IPs and their port forwardings, as it answers: the SDK knows no ranges of ports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from opsfix.gateways.calls import answered, change, one, onward, paged, read
from opsfix.resources import FloatingIP, PortForwarding, Span

PAGE = 1000


class Forwarding:
    """The part of ports.Network that forwards ports."""

    def __init__(self, proxy: Any):
        self._proxy = proxy

    def _get(self, path: str, **query: Any) -> Any:
        return answered(self._proxy.get(path, params={k: v for k, v in query.items() if v is not None}))

    def _listed(self, path: str, key: str, **query: Any) -> Iterator[Any]:
        """A listing, page by page, until neutron names no next page."""
        marker = None
        while True:
            body = self._get(path, limit=PAGE, marker=marker, **query)
            yield from body[key]
            if not body[key] or not any(link["rel"] == "next" for link in body.get(f"{key}_links", ())):
                return
            marker = onward(body[key], "id", marker)

    def extensions(self) -> frozenset[str]:
        """See ports.Network."""
        return read(lambda: frozenset(e["alias"] for e in self._get("/extensions")["extensions"]))

    def floating_ip(self, floating_ip_id: str) -> FloatingIP | None:
        """See ports.Network."""
        return one(lambda: _floating_ip(self._get(f"/floatingips/{floating_ip_id}")["floatingip"]))

    def every_floating_ip(
        self, *, addresses: Sequence[str] | None = None, router_id: str | None = None, port_ids: Sequence[str] | None = None,
    ) -> Iterator[FloatingIP]:
        """See ports.Network."""
        asked = {"floating_ip_address": addresses, "router_id": router_id, "port_id": port_ids}
        return paged(lambda: self._listed("/floatingips", "floatingips", **asked), _floating_ip)

    def forwardings(
        self, floating_ip_id: str, *, protocol: str | None = None, external: Span | None = None
    ) -> list[PortForwarding]:
        """See ports.Network. Only a single external port is a filter that every release has."""
        single = external[0] if external and external[0] == external[1] else None
        asked = {"protocol": protocol, "external_port": single}
        found = read(lambda: [
            _forwarding(f, floating_ip_id)
            for f in self._listed(f"/floatingips/{floating_ip_id}/port_forwardings", "port_forwardings", **asked)
        ])
        return [f for f in found if protocol in (None, f.protocol) and external in (None, f.external)]

    def create_forwarding(self, forwarding: PortForwarding) -> str:
        """See ports.Network."""
        path = f"/floatingips/{forwarding.floating_ip_id}/port_forwardings"
        body = {"port_forwarding": _fields(forwarding)}
        return str(change(lambda: answered(self._proxy.post(path, json=body))["port_forwarding"]["id"]))

    def delete_forwarding(self, floating_ip_id: str, forwarding_id: str) -> None:
        """See ports.Network."""
        path = f"/floatingips/{floating_ip_id}/port_forwardings/{forwarding_id}"
        change(lambda: answered(self._proxy.delete(path)))

    def gateway_network(self, router_id: str) -> str | None:
        """See ports.Network."""
        router = one(lambda: self._get(f"/routers/{router_id}")["router"])
        return (router.get("external_gateway_info") or {}).get("network_id") if router else None

    def subnet_gateways(self, network_id: str) -> dict[str, str | None]:
        """See ports.Network."""
        return read(lambda: {
            s["id"]: s.get("gateway_ip") for s in self._listed("/subnets", "subnets", network_id=network_id)
        })


def _floating_ip(f: dict[str, Any]) -> FloatingIP:
    forwardings = f.get("port_forwardings")
    return FloatingIP(
        id=f["id"],
        address=f["floating_ip_address"],
        port_id=f.get("port_id") or None,
        project_id=f.get("project_id") or "",
        network_id=f["floating_network_id"],
        router_id=f.get("router_id") or None,
        status=f.get("status") or "",
        target_ids=None if forwardings is None else tuple(p["internal_port_id"] for p in forwardings),
    )


def _forwarding(f: dict[str, Any], floating_ip_id: str) -> PortForwarding:
    return PortForwarding(
        id=f["id"],
        floating_ip_id=floating_ip_id,
        protocol=f["protocol"],
        external=_span(f, "external_port"),
        internal=_span(f, "internal_port"),
        port_id=f["internal_port_id"],
        address=f["internal_ip_address"],
        description=f.get("description") or "",
    )


def _span(f: dict[str, Any], name: str) -> Span:
    """From 'a:b', which Zed and newer have for single ports too, or from the single port of Yoga."""
    first, _, last = str(f.get(f"{name}_range") or f[name]).partition(":")
    return int(first), int(last or first)


def _fields(f: PortForwarding) -> dict[str, Any]:
    single = f.external[0] == f.external[1]
    ports: dict[str, Any] = {"external_port": f.external[0], "internal_port": f.internal[0]} if single else {
        "external_port_range": f"{f.external[0]}:{f.external[1]}", "internal_port_range": f"{f.internal[0]}:{f.internal[1]}",
    }
    described = {"description": f.description} if f.description else {}
    return ports | described | {
        "internal_port_id": f.port_id, "internal_ip_address": f.address, "protocol": f.protocol,
    }
