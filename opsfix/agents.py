"""Agents and services of nova, neutron and cinder as the engine's subject: whether one is dead, and what depends on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from opsfix.agent_facts import agent_facts
from opsfix.agent_rows import Row, read_rows
from opsfix.compute_case import latest, utc
from opsfix.computes import LEFT, Computes, volume_service_facts
from opsfix.resources import Agent
from opsfix.scene import Scene
from opsfix.subject import Look

#: Seconds between two heartbeats (nova's and cinder's report_interval, neutron's [AGENT] report_interval).
PERIODS = {"nova": 10.0, "neutron": 30.0, "cinder": 10.0}
#: The sign of life that an API shows.
SHOWN = "shown"
COMPUTE = "nova-compute"
BACKEND = "cinder-volume"


@dataclass
class _First:
    """An agent as the run saw it first, and when (seconds, monotonic clock). ``beats`` has the first of each of its signs of
    life; ``stirs`` once any has moved, ``passed`` once a whole period went by without."""

    row: Row
    since: float
    beats: dict[str, Any]
    stirs: bool = False
    passed: bool = False


@dataclass
class Agents:
    """See subject.Subject. A name is an agent's id, or a host: HOST for all that is on it, HOST@BACKEND for that backend.

    ``service`` leaves the other services alone. All are watched from the first listing on, so that many take no longer
    than one. A nova-compute is looked at as ``opsfix compute purge`` does, less what is neutron's and cinder's.
    """

    service: str | None = None
    periods: Mapping[str, float] = field(default_factory=lambda: PERIODS)
    type: str = "agent"
    _seen: dict[str, _First] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._computes = Computes(period=self.periods["nova"])

    def dead(self, scene: Scene) -> set[str]:
        """Ids of those that their service calls down: candidates only."""
        return {r.id for r in self._listed(scene) if r.state == "down"}

    def named(self, scene: Scene, name: str) -> list[tuple[str, str]]:
        """See subject.Subject. Compared exactly, but for the case of an id."""
        found = {r.id for r in self._listed(scene) if name in (r.id, r.host, r.machine) or name.lower() == r.id}
        return [(i, "") for i in sorted(found)]

    def look(self, scene: Scene, subject_id: str) -> Look | None:
        """See subject.Subject. One that an earlier look of this run knew is gone, not unknown."""
        known = self._seen.get(subject_id)
        if known is None:
            self._listed(scene)
            known = self._seen.get(subject_id)
        if known is None:
            return None
        if known.row.binary == COMPUTE:
            return self._compute(scene, known.row)
        rows = [r for r in read_rows(scene.cloud, known.row.service) if r.id == subject_id]
        facts = self._facts(scene, known, rows) if rows else dict(self.gone(subject_id))
        state = "it is gone" if not rows else "it is not gone"
        return Look(subject_id, _called(known.row), "", facts, state, "it is gone already")

    def gone(self, subject_id: str) -> Mapping[str, Any]:
        """See subject.Subject."""
        return {"agent.id": subject_id, "agent.state": "gone", "agent.left": False, "agent.idle": True}

    def _listed(self, scene: Scene) -> list[Row]:
        """All agents now; what has not been seen before is watched from here on."""
        rows = read_rows(scene.cloud, self.service)
        now = time.monotonic()
        with self._lock:
            for row in rows:
                self._seen.setdefault(row.id, _First(row, now, {SHOWN: _shown(r for r in rows if r.id == row.id)}))
        return rows

    def _compute(self, scene: Scene, row: Row) -> Look | None:
        look = self._computes.look(scene, row.host)
        if look is None:
            return None
        facts = dict(look.facts) | {
            "agents.count": 0, "volume_services.count": 0, "volume_services.enabled": 0,
            "agent.idle": look.facts["compute.idle"], "agent.changed_at": look.facts["compute.changed_at"],
        }
        facts["compute.left"] = left = any(facts[name] for name in LEFT)
        state = "it is not all gone" if left else "it is gone, and nothing of its host is left in nova and placement"
        return Look(row.id, _called(row), "", facts, state, "it is gone already")

    def _facts(self, scene: Scene, known: _First, rows: Sequence[Row]) -> dict[str, Any]:
        row = next((r for r in rows if r.state == "up"), rows[0])
        stored = _stored(scene, row)
        seen = _last(rows, stored)
        fenced = bool({row.host, row.machine} & scene.fenced)
        return {
            "agent.id": row.id,
            "agent.service": row.service,
            "agent.binary": row.binary,
            "agent.type": row.type,
            "agent.host": row.host,
            "agent.state": row.state,
            "agent.left": True,
            "agent.enabled": any(r.enabled for r in rows),
            "agent.heartbeat": tuple((r.state, r.heartbeat) for r in rows),
            "agent.dated": seen is not None or fenced,
            "agent.changed_at": seen.isoformat() if seen else None,
            # what lives is refused as such, whatever its age
            "agent.idle": fenced or seen is None or row.state == "up" or scene.idle(seen),
            "agent.managed": scene.cloud.manage.available(row.service),
        } | self._watch(known, rows, stored) | _held(scene, row, stored)

    def _watch(self, known: _First, rows: Sequence[Row], stored: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
        """Compare with the first sight. The time that an API shows also moves when the service is disabled, so it counts
        until the watch is over; what the database has counts to the end."""
        beats: dict[str, Any] = {f"row {r['id']}": (r["report_count"], r["updated_at"]) for r in stored or ()}
        with self._lock:
            if not known.passed:
                beats[SHOWN] = _shown(rows)
            known.stirs = known.stirs or any(known.beats.setdefault(key, beat) != beat for key, beat in beats.items())
            period = self.periods[known.row.service]
            waits = max(0.0, known.since + period - time.monotonic())
            known.passed = known.passed or (not known.stirs and not waits)
            return {"agent.stirs": known.stirs, "agent.watched": known.passed, "agent.waits": waits, "agent.period": period}


def _shown(rows: Iterable[Row]) -> datetime | None:
    """The newest heartbeat that an API shows."""
    return max((r.heartbeat for r in rows if r.heartbeat), default=None)


def _last(rows: Sequence[Row], stored: Sequence[Mapping[str, Any]] | None) -> datetime | None:
    """The last sign of life: by the database where it has the service, for cinder's API takes a disabling for one."""
    return latest(utc(r["updated_at"]) for r in stored) if stored else _shown(rows)


def _called(row: Row) -> str:
    return f"{row.binary} on {row.host}"


def _stored(scene: Scene, row: Row) -> list[Mapping[str, Any]] | None:
    """The rows of a service of cinder, None where its database is not configured or not concerned."""
    if row.service != "cinder" or scene.databases is None or not scene.has("cinder"):
        return None
    found = scene.databases.read("read_host_services.cinder", {"host": row.machine})
    return [r for r in found if (r["binary"], r["host"]) == (row.binary, row.host)]


def _held(scene: Scene, row: Row, stored: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    """What depends on it, and who could take it over."""
    facts: dict[str, Any] = {"agents.homeless": 0, "volumes.count": 0}
    if row.agent is not None:
        facts |= _served(scene, row.agent)
    if row.service == "cinder":
        listed = [s for s in scene.cloud.volume_services() if (s.binary, s.host) == (row.binary, row.host)]
        told = volume_service_facts(listed, stored)
        facts |= {name: told[name] for name in told if name.startswith("volume_service.")}
        facts["volume_services.enabled_names"] = told["volume_services.enabled_names"]
        facts["agent.enabled"] = bool(told["volume_services.enabled"])
    if row.binary == BACKEND:
        facts |= {"volumes.count": scene.cloud.hosts.volumes(row.host), "volumes.backends": row.host}
    return facts


def _served(scene: Scene, agent: Agent) -> dict[str, Any]:
    network = scene.cloud.network
    routers = {agent.id: tuple(network.routers_of(agent.id))} if agent.type == "L3 agent" else {}
    networks = {agent.id: tuple(network.networks_of(agent.id))} if agent.type == "DHCP agent" else {}
    serves = any((*routers.values(), *networks.values()))
    others = [a for a in network.agents() if a.id != agent.id and a.host != agent.host] if serves else []
    return agent_facts(agent.host, (agent,), others, routers, networks)
