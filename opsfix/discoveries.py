"""Compute hosts as the engine's subject, as far as nova's API database knows them: one without a mapping gets no server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from opsfix.errors import ConfigError
from opsfix.model import Result
from opsfix.ports import Cloud, Databases
from opsfix.scene import Scene
from opsfix.steps import Call, Course, Step
from opsfix.subject import Look

NEEDED = ("nova_api", "nova")


class MappedHosts:
    """See subject.Subject: hosts by their exact names."""

    type = "host"

    def look(self, scene: Scene, subject_id: str) -> Look | None:
        """See subject.Subject. A host is known by a live nova-compute of a cell."""
        databases = tables(scene)
        services = [r for r in databases.read("read_host_services.nova", {"host": subject_id}) if not r["deleted"]]
        if not services:
            return None
        nodes = [r for r in databases.read("read_host_nodes.nova", {"host": subject_id}) if not r["deleted"]]
        mapped = [str(r["mapped_to"]) for r in databases.read("read_host_mapping.nova_api", {"host": subject_id})]
        names = {str(c["uuid"]): str(c["name"] or c["uuid"]) for c in databases.read("read_cells.nova_api", {})}
        cells = sorted({str(r["cell"]) for r in services})
        facts = {
            "host.id": subject_id,
            "host.cells": len(cells),
            "host.cell": cells[0],
            "host.cell_name": names.get(cells[0], cells[0]),
            "host.mapping": mapped[0] if mapped else None,
            "host.nodes": len(nodes),
            "host.by_service": not any(not r["mapped"] for r in nodes),
            "host.managed": scene.cloud.manage.available("nova"),
            "host.idle": True,
        }
        told = f"it is mapped to cell {names.get(mapped[0], mapped[0])}" if mapped else "it is not mapped"
        return Look(subject_id, subject_id, "", facts, told, f"{told} already")

    def named(self, scene: Scene, name: str) -> list[tuple[str, str]]:
        """See subject.Subject."""
        del scene
        return [(name, "")]

    def gone(self, subject_id: str) -> Mapping[str, Any]:
        """See subject.Subject."""
        return {"host.id": subject_id, "host.mapping": None}


def tables(scene: Scene) -> Databases:
    """nova's databases. Raises ConfigError without them: nova's API does not tell which hosts are mapped."""
    if scene.databases is None or not scene.has(*NEEDED):
        raise ConfigError(
            "nova's API does not tell which hosts are mapped: configure the databases of nova_api and nova, see 'opsfix config"
            " show'; or run 'nova-manage cell_v2 discover_hosts --verbose' on a controller"
        )
    return scene.databases


def unmapped(scene: Scene) -> set[str]:
    """Hosts with a nova-compute in some cell and without a mapping; one whose name another has but for the case is none of
    them: nova compares without it. Raises ConfigError."""
    databases = tables(scene)
    scene.require_cells()
    mapped = {str(r["host"]).lower() for r in databases.read("read_host_mappings.nova_api", {})}
    found = {str(r["host"]) for r in databases.read("read_heartbeats.nova", {}) if r["binary"] == "nova-compute"}
    return {host for host in found if host.lower() not in mapped}


class DiscoverHosts(Step):
    """``nova-manage cell_v2 discover_hosts``: maps every host that has no mapping, whichever it is asked for."""

    def calls(self, facts: Mapping[str, Any]) -> Iterator[Call]:
        by_service = facts["host.by_service"]

        def discover(cloud: Cloud, _: Course) -> Result | None:
            cloud.manage.discover_hosts(by_service=by_service)
            return None

        yield Call(f"nova-manage cell_v2 discover_hosts{' --by-service' if by_service else ''}", discover)
