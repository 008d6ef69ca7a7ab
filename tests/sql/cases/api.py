"""Rows of nova's API database that the cases of servers share."""

from __future__ import annotations

from typing import Any

from tests.sql.cases.nova import OTHER_SERVER, SERVER
from tests.sql.world import LONG_AGO, World

TABLES = ("instance_mappings", "cell_mappings", "build_requests", "request_specs", "instance_group_member", "instance_groups")
CELL, OTHER_CELL = "ce110000-0000-4000-8000-00000000000a", "ce110000-0000-4000-8000-00000000000b"


def seed(w: World, *, queued: int, cell: bool = True, **mapping: Any) -> None:
    """A mapped server with all that may hang on it, and another one like it."""
    w.add("cell", "cell_mappings", uuid=CELL, name="cell1")
    w.add("other cell", "cell_mappings", uuid=OTHER_CELL, name="cell2")
    for name, server_id in (("", SERVER), ("other ", OTHER_SERVER)):
        w.add(
            f"{name}mapping", "instance_mappings", instance_uuid=server_id, project_id="p", updated_at=LONG_AGO,
            cell_id=w["cell"]["id"] if cell else None, queued_for_delete=queued, **mapping,
        )
    w.params = {"server_id": SERVER, "mapping_id": w["mapping"]["id"]}


def request(w: World, name: str, server_id: str) -> None:
    """A build request."""
    w.add(name, "build_requests", instance_uuid=server_id, project_id="p", created_at=LONG_AGO)
