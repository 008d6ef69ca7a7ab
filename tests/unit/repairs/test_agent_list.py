"""The list of agents and services, and what each of them holds."""

from __future__ import annotations

import pytest

from opsfix.agent_list import agents
from opsfix.errors import CloudRefused
from opsfix.resources import Hypervisor
from tests.fakes.hosts import LONG_AGO, STORE, HostCloud, HostRows, with_agents


@pytest.fixture
def cloud() -> HostCloud:
    return with_agents()


def test_the_list_shows_what_each_holds(cloud: HostCloud) -> None:
    cloud.add_compute("gpu-1", state="up")
    cloud.owned[STORE] = 2
    cloud.routers["L3 agent of net-2"] = ["r1"]
    cloud.networks["DHCP agent of net-1"] = ["n1", "n2", "n3", "n4"]
    found = agents(cloud, None, dead=False)  # type: ignore[arg-type]
    assert found["schema"] == "opsfix.agent-list/1"
    held = {(a["binary"], a["host"]): a for a in found["agents"]}
    assert len(held) == 15
    assert held["cinder-volume", STORE]["volumes"] == 2
    assert held["l3 agent", "net-2"]["routers"] == 1
    assert held["dhcp agent", "net-1"]["networks"] == 4
    assert held["nova-compute", "gpu-1"]["servers"] == 0
    assert held["cinder-backup", "store"]["volumes"] is None
    assert held["nova-conductor", "ctl-2"]["heartbeat_age"] > 80000
    dead = agents(cloud, None, dead=True)["agents"]  # type: ignore[arg-type]
    assert {a["state"] for a in dead} == {"down"}
    assert len(dead) == 6


def test_an_agent_that_goes_meanwhile_spoils_no_list(cloud: HostCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    status = 404

    def refused(agent_id: str) -> list[str]:
        raise CloudRefused(status, agent_id)

    monkeypatch.setattr(cloud, "routers_of", refused)
    held = {(a["binary"], a["host"]): a for a in agents(cloud, None, dead=False)["agents"]}  # type: ignore[arg-type]
    assert held["l3 agent", "net-1"]["routers"] is None
    status = 403
    with pytest.raises(CloudRefused):
        agents(cloud, None, dead=False)  # type: ignore[arg-type]


def test_the_list_prefers_the_databases(cloud: HostCloud) -> None:
    cloud.nodes = [Hypervisor("n", "n", "gpu-1")]
    cloud.add_compute("gpu-1", state="up")
    rows = HostRows({
        "read_server_counts.nova": [{"host": "gpu-1", "servers": 3}, {"host": "gpu-1", "servers": 1}],
        "read_volume_counts.cinder": [{"host": f"{STORE}#a", "volumes": 2}, {"host": None, "volumes": 9}],
        "read_heartbeats.nova": [{"binary": "nova-compute", "host": "gpu-1", "seen": LONG_AGO.replace(tzinfo=None)}],
    })
    held = {(a["binary"], a["host"]): a for a in agents(cloud, rows, dead=False)["agents"]}  # type: ignore[arg-type]
    assert held["nova-compute", "gpu-1"]["servers"] == 4
    assert held["nova-compute", "gpu-1"]["heartbeat_age"] > 80000
    assert held["cinder-volume", STORE]["volumes"] == 2


def test_the_list_counts_very_many_without_keeping_them(cloud: HostCloud) -> None:
    """100 000 volumes pass through; what is kept of them is one number for each backend."""
    alive: list[int] = []
    cloud.volumes = lambda: (_Counted(alive) for _ in range(100_000))  # type: ignore[method-assign,assignment,return-value]
    held = {(a["binary"], a["host"]): a for a in agents(cloud, None, dead=False)["agents"]}  # type: ignore[arg-type]
    assert held["cinder-volume", STORE]["volumes"] == 100_000


class _Counted:
    """A volume of which no more than a handful may live at a time."""

    backend = STORE

    def __init__(self, alive: list[int]):
        self._alive = alive
        assert len(alive) < 5
        alive.append(1)

    def __del__(self) -> None:
        self._alive.pop()
