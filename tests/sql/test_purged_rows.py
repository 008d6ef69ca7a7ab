"""What still refers to a deleted server keeps its rows: the foreign keys stay on."""

from __future__ import annotations

import pytest

from opsfix import sqlfile
from opsfix.errors import DatabaseRefused
from tests.sql import schema
from tests.sql.cases.nova import SERVER
from tests.sql.server import MariaDB
from tests.sql.test_fallbacks import seeded
from tests.sql.world import Recorder

ROWS = "instance_rows_kept.nova"


@pytest.mark.parametrize("release", [schema.RELEASES[0], schema.RELEASES[-1]])
@pytest.mark.parametrize("table", ["fixed_ips", "consoles"])
def test_what_nova_network_left_keeps_the_rows(mariadb: MariaDB, release: str, table: str) -> None:
    world = seeded(mariadb, release, ROWS)
    world.add("left", table, instance_uuid=SERVER)
    before = world.checksums()
    with pytest.raises(DatabaseRefused, match="1451"):
        world.database.commit(sqlfile.load(ROWS), world.params, Recorder())
    assert world.checksums() == before


def test_an_action_that_nobody_saw_keeps_the_rows(mariadb: MariaDB) -> None:
    world = seeded(mariadb, schema.RELEASES[-1], ROWS)
    world.add("new action", "instance_actions", instance_uuid=SERVER, action="restore")
    world.add("new event", "instance_actions_events", action_id=world["new action"]["id"], event="compute_restore_instance")
    before = world.checksums()
    with pytest.raises(DatabaseRefused, match="1451"):
        world.database.commit(sqlfile.load(ROWS), world.params, Recorder())
    assert world.checksums() == before
