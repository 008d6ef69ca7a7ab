"""Which hosts are mapped, by what, and what keeps one from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from opsfix.discoveries import MappedHosts, unmapped
from opsfix.engine.run import Run
from opsfix.errors import CloudRefused, ConfigError
from opsfix.model import Item, Mode, Outcome
from opsfix.repairs import COMPUTE_DISCOVER
from opsfix.resources import Service
from opsfix.scene import Scene
from tests.fakes.hosts import HostRows

HOST = "gpu-1"
CELLS = [{"uuid": "uuid-1", "name": "cell1"}, {"uuid": "uuid-2", "name": None}]


@dataclass
class DiscoveringCloud:
    """ports.Cloud as far as a discovery meets it; ``mapped`` is what a discovery leaves."""

    rows: HostRows
    installed: bool = True
    mapped: list[dict[str, Any]] = field(default_factory=lambda: [{"id": 1, "mapped_to": "uuid-1"}])
    refusal: CloudRefused | None = None
    told: list[bool] = field(default_factory=list)

    identity = "discovering"
    states: tuple[str, ...] = ("up",)

    @property
    def manage(self) -> DiscoveringCloud:
        return self

    def compute_services(self) -> list[Service]:
        return [Service("nova-compute", HOST, state) for state in self.states]

    def volume_services(self) -> list[Service]:
        return []

    def available(self, service: str) -> bool:
        return self.installed and service == "nova"

    def discover_hosts(self, *, by_service: bool) -> None:
        self.told.append(by_service)
        if self.refusal:
            raise self.refusal
        self.rows.rows["read_host_mapping.nova_api"] = self.mapped


@pytest.fixture
def cloud() -> DiscoveringCloud:
    """gpu-1 has a node that is not marked as mapped, and no mapping."""
    return DiscoveringCloud(HostRows({
        "read_host_services.nova": [{"id": 1, "deleted": 0, "cell": "uuid-1"}, {"id": 2, "deleted": 2, "cell": "uuid-2"}],
        "read_host_nodes.nova": [{"mapped": 0, "deleted": 0, "cell": "uuid-1"}],
        "read_cells.nova_api": CELLS,
    }))


def discover(cloud: DiscoveringCloud, mode: Mode = Mode.APPLY) -> Item:
    scene = Scene(cloud, cloud.rows, deadline=0.3)  # type: ignore[arg-type]
    run = Run(MappedHosts(), COMPUTE_DISCOVER, scene, mode, lambda _: lambda *_, **__: None)
    [item] = run.find_and_repair([HOST], named=True)
    return item


def test_a_host_is_mapped_and_it_is_told_where(cloud: DiscoveringCloud) -> None:
    assert discover(cloud, Mode.DRY_RUN).outcome is Outcome.NEEDS_COMMIT
    assert cloud.told == []
    item = discover(cloud)
    assert (item.outcome, item.finding, cloud.told) == (Outcome.REPAIRED, "host-unmapped", [False])
    assert "it is mapped to cell cell1" in item.reason
    assert discover(cloud).outcome is Outcome.HEALTHY


@pytest.mark.parametrize("nodes", [[], [{"mapped": 1, "deleted": 0, "cell": "uuid-1"}], [{"mapped": 0, "deleted": 1, "cell": "uuid-1"}]])
def test_what_the_nodes_do_not_tell_the_services_do(cloud: DiscoveringCloud, nodes: list[dict[str, Any]]) -> None:
    cloud.rows.rows["read_host_nodes.nova"] = nodes
    assert (discover(cloud).outcome, cloud.told) == (Outcome.REPAIRED, [True])


def test_without_nova_manage_the_sql_is_shown_then_committed(cloud: DiscoveringCloud) -> None:
    cloud.installed = False
    item = discover(cloud)
    assert (item.outcome, cloud.told, cloud.rows.committed) == (Outcome.NEEDS_COMMIT, [], [])
    cloud.rows.done["host_unmapped.nova_api"] = lambda _: cloud.rows.rows.update({"read_host_mapping.nova_api": cloud.mapped})
    assert discover(cloud, Mode.COMMIT).outcome is Outcome.REPAIRED
    assert cloud.rows.committed == [("host_unmapped.nova_api", {"host": HOST, "cell_id": "uuid-1"}, None)]
    assert cloud.told == []


def test_a_name_that_two_cells_have_is_refused(cloud: DiscoveringCloud) -> None:
    cloud.rows.rows["read_host_services.nova"].append({"id": 3, "deleted": 0, "cell": "uuid-2"})
    item = discover(cloud)
    assert (item.outcome, cloud.told, "2 cells" in item.reason) == (Outcome.REFUSED, [], True)


def test_a_host_without_a_live_nova_compute_is_not_found(cloud: DiscoveringCloud) -> None:
    cloud.rows.rows["read_host_services.nova"] = [{"id": 2, "deleted": 2, "cell": "uuid-2"}]
    assert discover(cloud).outcome is Outcome.FAILED


def test_its_failure_is_told_and_the_sql_shown(cloud: DiscoveringCloud) -> None:
    cloud.refusal = CloudRefused(0, "nova-manage exited 2: ERROR: Duplicate host mapping")
    item = discover(cloud)
    assert item.outcome is Outcome.NEEDS_COMMIT
    assert "Duplicate host mapping" in item.steps[0].detail


def test_a_discovery_that_mapped_nothing_failed(cloud: DiscoveringCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsfix.engine.way.SETTLES", 0.05)
    cloud.mapped = []
    assert discover(cloud).outcome is Outcome.FAILED


def test_unmapped_hosts_are_found_by_their_nova_computes(cloud: DiscoveringCloud) -> None:
    cloud.rows.rows |= {
        "read_heartbeats.nova": [
            {"binary": binary, "host": host} for binary, host in (
                ("nova-compute", "gpu-1"), ("nova-compute", "gpu-10"), ("nova-compute", "GPU-2"), ("nova-scheduler", "ctl-1"),
            )
        ],
        "read_host_mappings.nova_api": [{"host": "gpu-10", "mapped_to": "uuid-1"}, {"host": "gpu-2", "mapped_to": "uuid-1"}],
    }
    assert unmapped(Scene(cloud, cloud.rows)) == {"gpu-1"}  # type: ignore[arg-type]


@pytest.mark.parametrize("configured", [(), ("nova",), ("nova_api",), ("cinder",)])
def test_without_novas_databases_it_says_what_it_needs(cloud: DiscoveringCloud, configured: tuple[str, ...]) -> None:
    rows = HostRows(configured=configured) if configured else None
    with pytest.raises(ConfigError, match="configure the databases of nova_api and nova"):
        unmapped(Scene(cloud, rows))  # type: ignore[arg-type]
