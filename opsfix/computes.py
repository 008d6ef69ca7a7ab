"""States what is known of a compute host as facts, and watches whether it is really silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from opsfix.agent_facts import agent_facts
from opsfix.compute_case import HostCase, Node, Row, latest, read_case, utc
from opsfix.consumers import facts_of as placement_facts
from opsfix.consumers import some
from opsfix.errors import UsageError
from opsfix.resources import Service
from opsfix.scene import Scene
from opsfix.subject import Look

#: Seconds between two heartbeats of nova and cinder (report_interval).
PERIOD = 10.0
#: Begins the key of a heartbeat that an API shows which also moves when a service is changed.
SHOWN = "shown "


@dataclass
class Watch:
    """The heartbeats of one host as they were first seen, and when (seconds, monotonic clock); ``stirs`` once any has
    moved, ``passed`` once a whole period went by without. ``nodes`` are all that were ever seen."""

    beats: Mapping[str, Any]
    since: float
    stirs: bool = False
    passed: bool = False
    nodes: dict[str, Node] = field(default_factory=dict)


class Computes:
    """Compute hosts, by name. ``cell`` is the one that is meant where two have a host of this name (name or uuid);
    ``period`` in seconds is how long a host must stay silent while it is watched."""

    type = "compute"

    def __init__(self, cell: str | None = None, period: float = PERIOD):
        self._cell, self.period = cell, period
        self._watched: dict[str, Watch] = {}
        self._lock = threading.Lock()

    def look(self, scene: Scene, subject_id: str) -> Look | None:
        """See Subject. A host that an earlier look of this run knew is not unknown when nothing is left of it."""
        known = self._watched.get(subject_id)
        cell = self._chosen(scene)
        case = read_case(scene, subject_id, cell, known.nodes.values() if known else ())
        if known is None and not case.known:
            return None
        facts = facts_of(case, scene, cell) | self._watch(case)
        facts["compute.left"] = left = any(facts[name] for name in LEFT)
        state = "it is not all gone" if left else "nothing of it is left"
        return Look(subject_id, subject_id, "", facts, state, "it is gone already, and nothing of it is left")

    def named(self, scene: Scene, name: str) -> list[tuple[str, str]]:
        """See Subject: a host's name is its id; whether anybody knows it the look tells."""
        del scene
        return [(name, "")]

    def gone(self, subject_id: str) -> Mapping[str, Any]:
        """See Subject."""
        return {"compute.id": subject_id, "compute.left": False} | dict.fromkeys(LEFT, 0)

    def _chosen(self, scene: Scene) -> str | None:
        if self._cell is None or scene.databases is None or not scene.has("nova_api"):
            return self._cell
        cells = scene.databases.read("read_cells.nova_api", {})
        found = [str(c["uuid"]) for c in cells if self._cell in (c["uuid"], c["name"])]
        if len(found) != 1:
            known = ", ".join(sorted(f"{c['name']} ({c['uuid']})" for c in cells))
            raise UsageError(f"{len(found)} cells of nova are called {self._cell!r}: there are {known}")
        return found[0]

    def _watch(self, case: HostCase) -> dict[str, Any]:
        """Compare with the first look. The times that the APIs of nova and cinder show also move by what opsfix itself does
        to a service, so they count only until the watch is over; those of the databases count to the end."""
        now = beats(case)
        with self._lock:
            watch = self._watched.setdefault(case.host, Watch(now, time.monotonic()))
            watch.nodes |= {n.uuid: n for n in case.compute.nodes}
            counted = {key: beat for key, beat in now.items() if not (watch.passed and key.startswith(SHOWN))}
            watch.stirs = watch.stirs or any(watch.beats.get(key) != beat for key, beat in counted.items())
            watch.passed = watch.passed or (not watch.stirs and time.monotonic() - watch.since >= self.period)
            return {"compute.watched": watch.passed, "compute.stirs": watch.stirs}


#: Facts each of which counts, or names, something that a purge takes away.
LEFT = (
    "service.uuid", "node.id", "removed_node.id", "aggregates.count", "providers.count", "agents.count",
    "volume_services.count", "host_mapping.id", "tokens.count",
)


def beats(case: HostCase) -> dict[str, Any]:
    """What moves while anything on the host lives: key -> value."""
    compute = case.compute
    found: dict[str, Any] = {f"agent {a.id}": a.heartbeat for a in case.agents}
    if compute.rows is None:
        found |= {f"{SHOWN}nova-compute {s.uuid}": s.updated_at for s in compute.services}
    else:
        found |= {f"nova-compute {r['uuid']}": (r["report_count"], r["last_seen_up"]) for r in compute.rows if not r["deleted"]}
        found |= {f"node {n.uuid}": n.updated_at for n in compute.nodes if n.live}
    if case.volume_rows is None:
        found |= {f"{SHOWN}{s.binary} {s.host}": s.updated_at for s in case.volume_services}
    else:
        found |= {f"cinder {r['id']}": (r["report_count"], r["updated_at"]) for r in case.volume_rows}
    return found


def last_seen(case: HostCase) -> datetime | None:
    """The newest sign of life of anything on the host, None where nothing is dated."""
    compute = case.compute
    of_nova = [s.updated_at for s in compute.services] if compute.rows is None else [utc(r["last_seen_up"]) for r in compute.rows]
    of_cinder = (
        [s.updated_at for s in case.volume_services] if case.volume_rows is None
        else [utc(r["updated_at"]) for r in case.volume_rows]
    )
    nodes = [utc(n.updated_at) for n in compute.nodes]
    return latest([*of_nova, *of_cinder, *nodes, *(a.heartbeat for a in case.agents)])


def facts_of(case: HostCase, scene: Scene, cell: str | None) -> dict[str, Any]:
    """The case as facts: plain values, or Unread."""
    compute, seen = case.compute, last_seen(case)
    fenced = case.host in scene.fenced
    living, state = _living(case), _state(case, fenced=fenced)
    facts = {
        "compute.id": case.host,
        "compute.cells_up": case.cells_up,
        "compute.cells": len(compute.cells),
        "compute.cell_chosen": _cell_chosen(case, scene, cell),
        "compute.twin": compute.twin,
        "compute.state": state,
        "compute.dated": seen is not None or fenced,
        "compute.changed_at": seen.isoformat() if seen else None,
        # what lives is refused as such, whatever its age
        "compute.idle": fenced or seen is None or bool(living) or state == "up" or scene.idle(seen),
        "living.count": len(living),
        "living.names": ", ".join(living),
        "servers.count": len(compute.servers),
        "servers.names": some(compute.servers),
        "migrations.count": sum(m.in_progress for m in compute.migrations),
        "migrations.names": some([f"{m.type or 'move'} of server {m.server_id}: {m.status}" for m in compute.migrations if m.in_progress]),
        "volumes.count": case.volumes,
        "volumes.backends": ", ".join(sorted({s.host for s in case.volume_services if s.binary == "cinder-volume"})),
        "aggregates.count": len(compute.aggregates),
        "aggregates.ids": tuple(a.id for a in compute.aggregates),
        "aggregate.id": compute.aggregates[0].id if compute.aggregates else None,
        "tokens.count": sum(t["tokens"] for t in compute.tokens),
        "host_mapping.id": compute.mapping["id"] if compute.mapping else None,
        "host_mapping.cell": compute.mapping["mapped_to"] if compute.mapping else None,
        "identities": (),
    }
    held = placement_facts(case.providers, case.consumers, case.uncounted)
    return facts | _service_facts(case) | held | _agent_facts(case) | volume_service_facts(case.volume_services, case.volume_rows)


def _cell_chosen(case: HostCase, scene: Scene, cell: str | None) -> bool:
    """Whether it is certain which cell's host is meant."""
    if cell is None:
        return len(case.compute.cells) < 2
    return case.compute.rows is not None and scene.databases is not None and cell in scene.databases.cell_names()


def _state(case: HostCase, *, fenced: bool) -> str:
    """'up', 'down', 'fenced', 'up, yet said to be fenced', or 'missing': nova has no such nova-compute."""
    states = {s.state for s in case.compute.services}
    if "up" in states:
        return "up, yet said to be fenced" if fenced else "up"
    if fenced:
        return "fenced"
    return next(iter(sorted(states)), "missing")


def _living(case: HostCase) -> list[str]:
    """What else on the host still reports."""
    agents = {f"{a.binary} of neutron" for a in case.agents if a.state == "up"}
    return sorted(agents | {f"{s.binary} {s.host} of cinder" for s in case.volume_services if s.state == "up"})


def _service_facts(case: HostCase) -> dict[str, Any]:
    compute = case.compute
    service = compute.services[0] if compute.services else None
    row = next((r for r in compute.rows or () if not r["deleted"]), None)
    orphaned = [n for n in compute.nodes if n.live and n.id is not None] if service is None and row is None else []
    marked = [n for n in compute.nodes if not n.live and n.mapped]
    node, removed = next(iter(orphaned), None), next(iter(marked), None)
    named = row or node or removed or next(iter(compute.tokens), None)
    return {
        "service.uuid": service.uuid if service else row["uuid"] if row else None,
        "service.id": row["id"] if row else None,
        "service.report_count": row["report_count"] if row else None,
        "service.retired": bool(service and service.status == "disabled" and service.forced_down),
        "nodes.names": ", ".join(sorted({n.name for n in compute.nodes})),
        "node.id": node.id if node else None,
        "node.uuid": node.uuid if node else None,
        "node.updated_at": node.updated_at if node else None,
        "removed_node.id": removed.id if removed else None,
        "cell": named["cell"] if isinstance(named, Mapping) else named.cell if named else None,
    }


def _agent_facts(case: HostCase) -> dict[str, Any]:
    facts = agent_facts(case.host, case.agents, case.others, case.routers, case.networks)
    return facts | {"agents.count": len(case.agents)}


def volume_service_facts(services: Sequence[Service], rows: Sequence[Row] | None) -> dict[str, Any]:
    """The facts of services of cinder as its API lists them, and of the first of their rows (None: no database)."""
    row = rows[0] if rows else None
    # of two rows of one service cinder's call reaches one: what it disabled there is all that it can do
    reached = {(s.binary, s.host) for s in services if s.status == "disabled"}
    enabled = tuple(sorted({(s.binary, s.host) for s in services} - reached))
    return {
        "volume_services.count": max(len(services), len(rows or ())),
        "volume_services.enabled": len(enabled),
        "volume_services.enabled_names": enabled,
        "volume_service.id": row["id"] if row else None,
        "volume_service.uuid": row["uuid"] if row else None,
        "volume_service.host": row["host"] if row else None,
        "volume_service.binary": row["binary"] if row else None,
        "volume_service.report_count": row["report_count"] if row else None,
        "volume_service.updated_at": row["updated_at"] if row else None,
    }
