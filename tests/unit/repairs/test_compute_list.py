"""The list of compute hosts, the dead ones alone or with the rest."""

from __future__ import annotations

from datetime import UTC, datetime

from opsfix.compute_list import computes
from tests.fakes.hosts import LONG_AGO, one_dead


def test_the_list_shows_every_host_once_and_the_dead_alone() -> None:
    cloud = one_dead()
    cloud.add_agent("gpu-1", "Open vSwitch agent")
    whole = computes(cloud, None, dead=False)
    assert [(h["host"], h["state"], h["providers"]) for h in whole["computes"]] == [
        ("GPU-1", "up", ["node-3"]), ("gpu-1", "down", ["node-0"]), ("gpu-1.site-b", "up", ["node-2"]), ("gpu-10", "up", ["node-1"]),
    ]
    [dead] = computes(cloud, None, dead=True)["computes"]
    assert (dead["host"], dead["agents_down"], dead["cell"], dead["servers"]) == ("gpu-1", ["open vswitch agent"], None, 0)
    assert abs((datetime.now(UTC) - LONG_AGO).total_seconds() - dead["heartbeat_age"]) < 5
