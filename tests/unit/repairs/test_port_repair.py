"""Which ports are bound, unbound or deleted, and which are left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opsfix.compute_ports import FAILED, ComputePorts
from opsfix.engine.run import Run
from opsfix.errors import CloudRefused, CloudUnknown
from opsfix.model import Item, Mode, Outcome
from opsfix.repairs import PORT_REPAIR
from opsfix.resources import Migration, Port, Server, Service
from opsfix.scene import Scene

GONE = "server-gone"
SERVICES = (Service("nova-compute", "gpu-1", "up"), Service("nova-compute", "gpu-2", "down"))


@dataclass
class PortCloud:
    """ports.Cloud with its network, which is this same object."""

    all_ports: dict[str, Port] = field(default_factory=dict)
    guests: dict[str, Server] = field(default_factory=dict)
    services: list[Service] = field(default_factory=lambda: [*SERVICES])
    moves: list[Migration] = field(default_factory=list)
    binds: bool = True
    sent: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def network(self) -> PortCloud:
        return self

    def add(self, port_id: str, **values: Any) -> None:
        made = Port(port_id, "", "p", "server", "compute:nova", "net", "ACTIVE", "gpu-1", "ovs")
        self.all_ports[port_id] = replace(made, **values)

    def port(self, port_id: str) -> Port | None:
        return self.all_ports.get(port_id)

    def ports(self) -> Iterator[Port]:
        return iter([*self.all_ports.values()])

    def server(self, server_id: str) -> Server | None:
        return self.guests.get(server_id)

    def servers(self) -> Iterator[Server]:
        return iter([*self.guests.values()])

    def migrations(self, server_id: str) -> list[Migration]:
        return [m for m in self.moves if m.server_id == server_id]

    def compute_services(self) -> list[Service]:
        return self.services

    def volume_services(self) -> list[Service]:
        return []

    def delete_port(self, port_id: str) -> None:
        self.sent.append(("delete", port_id))
        if self.all_ports.pop(port_id, None) is None:
            raise CloudRefused(404, "gone")

    def unbind_port(self, port_id: str) -> None:
        self.sent.append(("unbind", port_id))
        self.all_ports[port_id] = replace(self.all_ports[port_id], device_id="", device_owner="", host=None, vif_type="unbound")

    def bind_port(self, port_id: str, host: str) -> None:
        self.sent.append(("bind", port_id, host))
        vif_type = "ovs" if self.binds else FAILED
        self.all_ports[port_id] = replace(self.all_ports[port_id], host=host, vif_type=vif_type)


@dataclass
class Tables:
    """nova's rows of servers, deleted ones too; of those that live there are more."""

    rows: list[dict[str, Any]]
    live: tuple[str, ...] = ("server",)

    def cell_names(self) -> list[str]:
        return ["cell1"]

    def names(self) -> tuple[str, ...]:
        return ("nova_api", "nova")

    def read(self, name: str, params: Mapping[str, Any], *, cell: str | None = None) -> list[dict[str, Any]]:
        if name == "read_server_page.nova":
            found = [*self.live, *(r["uuid"] for r in self.rows if not r["deleted"])]
            return [{"uuid": i, "host": "gpu-1", "node": "gpu-1", "vm_state": "active", "task_state": None} for i in found]
        assert name == "read_server.nova", cell
        return [r for r in self.rows if r["uuid"] == params["server_id"]]


@pytest.fixture
def cloud() -> PortCloud:
    made = PortCloud()
    made.guests["server"] = Server("server", "web", "p", "active", host="gpu-1", node="gpu-1")
    made.add("well")
    made.add("dhcp", device_owner="network:dhcp", device_id="dhcp")
    made.add("free", device_owner="", device_id="")
    return made


def cached(port: str, *, kept: bool, deleted: int = 7) -> Tables:
    vifs = [{"id": port, "preserve_on_delete": kept}]
    return Tables([{"uuid": GONE, "deleted": deleted, "network_info": json.dumps(vifs)}])


def run(cloud: PortCloud, *ids: str, mode: Mode = Mode.APPLY, tables: Tables | None = None, older: float = 0) -> list[Item]:
    subject = ComputePorts(period=0.01)
    scene = Scene(cloud, tables, older_than=timedelta(minutes=older), deadline=0.3)  # type: ignore[arg-type]
    made = Run(subject, PORT_REPAIR, scene, mode, lambda _: lambda *_, **__: None)
    return made.find_and_repair(ids or subject.find(scene), named=bool(ids))


def one(cloud: PortCloud, port: str = "port", **options: Any) -> Item:
    [item] = run(cloud, port, **options)
    return item


def refused(cloud: PortCloud, *words: str, outcome: Outcome = Outcome.REFUSED, **options: Any) -> None:
    for mode in Mode:
        item = one(cloud, mode=mode, **options)
        assert (item.outcome, [w for w in words if w not in item.reason]) == (outcome, []), item.reason
    assert cloud.sent == []


def test_a_well_bound_port_is_no_finding(cloud: PortCloud) -> None:
    assert run(cloud) == []
    assert {i.outcome for i in run(cloud, "well", "dhcp", "free")} == {Outcome.HEALTHY}
    assert one(cloud, "none").outcome is Outcome.FAILED


def test_a_port_that_nova_made_for_a_server_that_is_gone_is_deleted(cloud: PortCloud) -> None:
    cloud.add("port", device_id=GONE)
    assert [i.outcome for i in run(cloud, mode=Mode.DRY_RUN)] == [Outcome.NEEDS_COMMIT]
    [item] = run(cloud, tables=cached("port", kept=False))
    assert (item.finding, item.outcome, cloud.sent) == ("port-orphaned", Outcome.REPAIRED, [("delete", "port")]), item.reason
    assert "port" not in cloud.all_ports


@pytest.mark.parametrize("tables", [None, cached("port", kept=True), cached("another", kept=False), Tables([])])
def test_any_other_is_unbound(cloud: PortCloud, tables: Tables | None) -> None:
    cloud.add("port", device_id=GONE)
    [item] = run(cloud, tables=tables)
    assert (item.outcome, cloud.sent) == (Outcome.REPAIRED, [("unbind", "port")]), item.reason


def test_one_of_a_server_that_only_the_tables_have_is_left_alone(cloud: PortCloud) -> None:
    cloud.add("port", device_id=GONE)
    refused(cloud, "hidden", outcome=Outcome.HEALTHY, tables=cached("port", kept=False, deleted=0))


def test_nothing_is_said_while_a_cell_is_down(cloud: PortCloud) -> None:
    cloud.add("port", device_id=GONE)
    cloud.services.append(Service("nova-compute", "gpu-3", "unknown"))
    refused(cloud, "a cell of nova is down", outcome=Outcome.UNKNOWN)
    with pytest.raises(CloudUnknown):
        run(cloud)


def test_one_that_is_given_away_between_the_looks_is_left_alone(cloud: PortCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.add("port", device_id=GONE)
    looks: list[str] = []

    def port(port_id: str) -> Port:
        looks.append(port_id)
        return replace(cloud.all_ports[port_id], device_id=GONE if len(looks) == 1 else "server")

    monkeypatch.setattr(cloud, "port", port)
    assert one(cloud).outcome is Outcome.HEALTHY
    assert cloud.sent == []


def test_one_that_changed_a_moment_ago_waits(cloud: PortCloud) -> None:
    cloud.add("port", device_id=GONE, changed_at=datetime.now(UTC))
    refused(cloud, "less than --older-than ago", older=15)


def test_a_failed_binding_is_bound_again(cloud: PortCloud) -> None:
    cloud.add("port", vif_type=FAILED)
    [item] = run(cloud)
    assert (item.finding, item.outcome, cloud.sent) == ("port-binding-failed", Outcome.REPAIRED, [("bind", "port", "gpu-1")])
    assert run(cloud) == []


def test_one_that_fails_again_says_where_to_look(cloud: PortCloud) -> None:
    cloud.binds = False
    cloud.add("port", vif_type=FAILED)
    item = one(cloud)
    assert item.outcome is Outcome.FAILED
    assert "openstack network agent list --host gpu-1" in item.reason


@pytest.mark.parametrize(("values", "says"), [
    ({"task_state": "rebooting"}, "its server is rebooting"),
    ({"host": None}, "on no host"),
    ({"host": "gpu-2"}, "gpu-2 is down"),
    ({"host": "gpu-9"}, "gpu-9 is missing"),
])
def test_a_binding_that_could_not_hold_is_refused(cloud: PortCloud, values: dict[str, Any], says: str) -> None:
    cloud.add("port", vif_type=FAILED)
    cloud.guests["server"] = replace(cloud.guests["server"], **values)
    refused(cloud, says)


def test_one_of_a_server_that_moves_is_refused(cloud: PortCloud) -> None:
    cloud.add("port", vif_type=FAILED)
    cloud.moves = [Migration(1, "server", "running")]
    refused(cloud, "being moved")
    cloud.moves = [Migration(1, "server", "completed")]
    assert one(cloud).outcome is Outcome.REPAIRED


def test_one_whose_cell_does_not_tell_is_left_alone(cloud: PortCloud) -> None:
    cloud.add("port", vif_type=FAILED)
    cloud.guests["server"] = Server("server", "", "p", answered=False)
    refused(cloud, outcome=Outcome.HEALTHY)
