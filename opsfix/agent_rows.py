"""Agents and services of nova, neutron and cinder in one form, from one complete listing of each service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from opsfix.ports import Cloud
from opsfix.resources import Agent, Service

SERVICES = ("nova", "neutron", "cinder")


@dataclass(frozen=True)
class Row:
    """An agent of neutron, or a service of nova or cinder. ``id`` is the owner's; ``BINARY/HOST`` where it shows none.

    ``state`` is 'up', 'down', or 'unknown' while its cell is down; one that is not ``enabled`` takes no new work.
    ``heartbeat`` is the last that its API shows. ``agent`` is what neutron tells of it.
    """

    id: str
    service: str
    binary: str
    type: str
    host: str
    state: str
    enabled: bool
    heartbeat: datetime | None = None
    forced_down: bool = False
    agent: Agent | None = None

    @property
    def machine(self) -> str:
        """The host without the name of a backend."""
        return self.host.split("@", 1)[0]


def read_rows(cloud: Cloud, service: str | None = None) -> list[Row]:
    """Every agent, or those of one service. Raises CloudUnknown."""
    read: dict[str, Callable[[], list[Row]]] = {
        "nova": lambda: [_of_service("nova", s) for s in cloud.compute_services()],
        "neutron": lambda: [_of_neutron(a) for a in cloud.network.agents()],
        "cinder": lambda: [_of_service("cinder", s) for s in cloud.volume_services()],
    }
    return [row for name in SERVICES if service in (None, name) for row in read[name]()]


def _of_service(name: str, s: Service) -> Row:
    return Row(
        s.uuid or f"{s.binary}/{s.host}", name, s.binary, s.binary, s.host, s.state, s.status == "enabled", s.updated_at,
        s.forced_down,
    )


def _of_neutron(a: Agent) -> Row:
    return Row(a.id, "neutron", a.binary, a.type, a.host, a.state, a.enabled, a.heartbeat, agent=a)
