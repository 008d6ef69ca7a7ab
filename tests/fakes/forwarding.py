"""neutron's part that forwards ports, in memory and with neutron's rules (services/portforwarding/pf_plugin.py)."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from opsfix.errors import CloudRefused, CloudUnknown
from opsfix.forwarding.changes import RANGES
from opsfix.resources import FloatingIP, Port, PortForwarding, Server, Service, Span

OUTSIDE, INSIDE = "net-external", "net-private"


@dataclass
class FakeNeutron:
    """One external network, routers with one subnet each; ``faults`` are raised once by the next change, after it was
    made where ``late``."""

    extension: bool = True
    fips: dict[str, FloatingIP] = field(default_factory=dict)
    port_rows: dict[str, Port] = field(default_factory=dict)
    rows: dict[str, PortForwarding] = field(default_factory=dict)
    gateways: dict[str, str | None] = field(default_factory=dict)
    subnets: dict[str, dict[str, str | None]] = field(default_factory=dict)
    faults: list[Exception] = field(default_factory=list)
    late: bool = False
    sent: list[str] = field(default_factory=list)
    crowded: bool = False
    _at_work: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.add_router("router-1", "subnet-1", "10.0.0.1")

    # what a test builds

    def add_router(self, router: str, subnet: str, address: str, external: str | None = OUTSIDE) -> None:
        self.gateways[router] = external
        self.subnets.setdefault(INSIDE, {})[subnet] = address
        self.add_port(f"{router}-port", address, subnet=subnet, device=router, owner="network:router_interface")

    def add_fip(self, number: int, **more: object) -> FloatingIP:
        made = FloatingIP(f"fip-{number}", f"198.51.100.{number}", project_id="p", network_id=OUTSIDE, status="DOWN", target_ids=())
        self.fips[made.id] = replace(made, **more)  # type: ignore[arg-type]
        return self.fips[made.id]

    def add_port(
        self, port_id: str, *addresses: str, subnet: str = "subnet-1", device: str = "", owner: str = "", **more: object
    ) -> Port:
        status = more.pop("status", "ACTIVE")
        made = Port(
            port_id, str(more.pop("name", "")), "p", device, owner, INSIDE, str(status), addresses=addresses,
            subnet_ids=(subnet,) * len(addresses),
        )
        self.port_rows[port_id] = replace(made, **more)  # type: ignore[arg-type]
        return self.port_rows[port_id]

    def add_row(
        self, fip: FloatingIP, port: Port, external: Span | int, internal: Span | int, protocol: str = "tcp", **more: str
    ) -> PortForwarding:
        """A forwarding as it lies in the table, whatever neutron would have said."""
        spans = [(s, s) if isinstance(s, int) else s for s in (external, internal)]
        address = more.pop("address", port.addresses[0] if port.addresses else "10.0.0.99")
        made = PortForwarding(f"row-{next(self._numbers)}", fip.id, protocol, spans[0], spans[1], port.id, address, **more)
        self.rows[made.id] = made
        self._bind(fip.id, self.fips[fip.id].router_id or "router-1")
        return made

    def _bind(self, fip_id: str, router: str | None) -> None:
        targets = tuple(f.port_id for f in self.rows.values() if f.floating_ip_id == fip_id)
        self.fips[fip_id] = replace(self.fips[fip_id], router_id=router, target_ids=targets)

    # ports.Network

    def extensions(self) -> frozenset[str]:
        return frozenset({RANGES} if self.extension else ())

    def floating_ip(self, floating_ip_id: str) -> FloatingIP | None:
        return self.fips.get(floating_ip_id)

    def every_floating_ip(
        self, *, addresses: Sequence[str] | None = None, router_id: str | None = None, port_ids: Sequence[str] | None = None,
    ) -> Iterator[FloatingIP]:
        for f in list(self.fips.values()):
            if (addresses is None or f.address in addresses) and router_id in (None, f.router_id) and (
                port_ids is None or f.port_id in port_ids
            ):
                yield f

    def forwardings(
        self, floating_ip_id: str, *, protocol: str | None = None, external: Span | None = None
    ) -> list[PortForwarding]:
        return [
            f for f in list(self.rows.values())
            if f.floating_ip_id == floating_ip_id and protocol in (None, f.protocol) and external in (None, f.external)
        ]

    def port(self, port_id: str) -> Port | None:
        return self.port_rows.get(port_id)

    def ports(
        self, *, device_id: str | None = None, name: str | None = None, network_id: str | None = None,
        ids: Sequence[str] | None = None, owners: Sequence[str] | None = None,
    ) -> Iterator[Port]:
        for p in list(self.port_rows.values()):
            if (
                device_id in (None, p.device_id) and name in (None, p.name) and network_id in (None, p.network_id)
                and (ids is None or p.id in ids) and (owners is None or p.device_owner in owners)
            ):
                yield p

    def gateway_network(self, router_id: str) -> str | None:
        return self.gateways.get(router_id)

    def subnet_gateways(self, network_id: str) -> dict[str, str | None]:
        return self.subnets.get(network_id, {})

    def create_forwarding(self, forwarding: PortForwarding) -> str:
        with self._fault("create"), self._lock:
            self._allow(forwarding)
            made = f"made-{next(self._numbers)}"
            self.rows[made] = replace(forwarding, id=made)
            self._bind(forwarding.floating_ip_id, self.fips[forwarding.floating_ip_id].router_id or "router-1")
            return made

    def delete_forwarding(self, floating_ip_id: str, forwarding_id: str) -> None:
        with self._fault("delete"):
            others = self._at_work[floating_ip_id] = self._at_work.get(floating_ip_id, 0) + 1
            self.crowded = self.crowded or others > 1
            threading.Event().wait(0.002)
            with self._lock:
                self._at_work[floating_ip_id] -= 1
                if forwarding_id not in self.rows:
                    raise CloudRefused(404, f"Port Forwarding {forwarding_id} could not be found.")
                del self.rows[forwarding_id]
                left = any(f.floating_ip_id == floating_ip_id for f in self.rows.values())
                self._bind(floating_ip_id, self.fips[floating_ip_id].router_id if left else None)

    def _fault(self, call: str) -> _Faulty:
        self.sent.append(call)
        return _Faulty(self)

    def _allow(self, f: PortForwarding) -> None:
        fip, port = self.fips[f.floating_ip_id], self.port_rows[f.port_id]
        if fip.port_id:
            raise CloudRefused(409, "FloatingIPPortAlreadyAssociated")
        if any(other.port_id == port.id for other in self.fips.values()):
            raise CloudRefused(409, "PortHasBindingFloatingIP")
        if f.address not in port.addresses:
            raise CloudRefused(400, "not suitable")
        for other in self.rows.values():
            same_fip = (other.floating_ip_id, other.protocol) == (f.floating_ip_id, f.protocol)
            same_target = (other.port_id, other.address, other.protocol) == (f.port_id, f.address, f.protocol)
            if (same_fip and _meet(other.external, f.external)) or (same_target and _meet(other.internal, f.internal)):
                raise CloudRefused(400, "There is a port collision")


@dataclass
class _Faulty:
    """Raises the next fault: before what is done, or after it."""

    neutron: FakeNeutron

    def __enter__(self) -> None:
        if self.neutron.faults and not self.neutron.late:
            raise self.neutron.faults.pop(0)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self.neutron.faults and self.neutron.late:
            raise self.neutron.faults.pop(0)


def _meet(a: Span, b: Span) -> bool:
    return a[0] <= b[1] and b[0] <= a[1]


@dataclass
class FakeCloud:
    """The part of ports.Cloud that forwardings need. ``cells`` False: a cell of nova is down."""

    network: FakeNeutron = field(default_factory=FakeNeutron)
    server_rows: dict[str, Server] = field(default_factory=dict)
    cells: bool = True

    def add_server(self, server_id: str, name: str, **more: object) -> Server:
        self.server_rows[server_id] = Server(server_id, name, "p", vm_state=str(more.get("vm_state", "active")))
        return self.server_rows[server_id]

    def server(self, server_id: str) -> Server | None:
        return self.server_rows.get(server_id)

    def servers(self, *, name: str | None = None) -> Iterator[Server]:
        if not self.cells:
            raise CloudUnknown("a cell is down")
        yield from (s for s in self.server_rows.values() if name in (None, s.name))

    def compute_services(self) -> list[Service]:
        return [Service("nova-compute", "gpu-01", "up" if self.cells else "unknown")]
