"""The SQL of one instance purge against the size of nova's database, and against the shell script that it replaces."""

from __future__ import annotations

import os
import subprocess
import time
from statistics import median
from typing import Any

import pytest

from opsfix import sqlfile
from opsfix.gateways.database import Database
from tests.bench.measuring import Report
from tests.sql.cases import servers
from tests.sql.conftest import mariadb, mariadb_process  # noqa: F401  fixtures
from tests.sql.server import MariaDB
from tests.sql.world import Recorder

SMALL = 10_000
#: 1000000 is the size that the targets are meant for; it takes 15 GB of disk and a quarter of an hour.
LARGE = int(os.environ.get("OPSFIX_BENCH_INSTANCES", "20000"))
TIMES, SHELL_TIMES = 21, 3
RELEASE, FILE = "2026.2", "instance_present.nova"
UUID = "CONCAT('5e4e4000-0000-4000-8000-', LPAD(s.seq, 12, '0'))"
FLAVOR, NETWORK, TEXT = 900, 1600, 60
#: Rows for each instance, beside the instance itself: table -> how many, columns, and an expression for each.
ROWS: dict[str, tuple[int, dict[str, str]]] = {
    "instance_info_caches": (1, {"instance_uuid": UUID, "network_info": f"REPEAT('n', {NETWORK})"}),
    "instance_extra": (1, {"instance_uuid": UUID, "flavor": f"REPEAT('f', {FLAVOR})"}),
    "instance_id_mappings": (1, {"uuid": UUID}),
    "instance_metadata": (1, {"instance_uuid": UUID, "`key`": "'role'", "value": "'web'"}),
    "instance_system_metadata": (10, {"instance_uuid": UUID, "`key`": "CONCAT('image_', c.seq)", "value": f"REPEAT('v', {TEXT})"}),
    "block_device_mapping": (2, {
        "instance_uuid": UUID, "uuid": "UUID()", "source_type": "'volume'", "destination_type": "'volume'",
        "volume_id": "UUID()", "attachment_id": "UUID()", "connection_info": f"REPEAT('c', {FLAVOR})",
    }),
    "virtual_interfaces": (1, {"instance_uuid": UUID, "uuid": "UUID()", "address": "CONCAT('fa:16:3e/', s.seq)"}),
    "instance_actions": (4, {"instance_uuid": UUID, "action": "'reboot'"}),
}


def fill(server: MariaDB, url: str, count: int) -> None:
    """So many instances, with rows of a realistic number and size in every table.

    One statement for each empty table without the checks of keys: InnoDB then builds its indexes sorted and at once.
    """
    server.insert(url, "services", host="gpu-1", binary="nova-compute", topic="compute", last_seen_up="2024-02-29 23:59:58")
    server.execute(url, "SET SESSION unique_checks = 0, foreign_key_checks = 0")
    server.execute(url, (
        "INSERT INTO instances (uuid, host, node, vm_state, task_state, display_name, project_id, user_data, locked, deleted)"
        f" SELECT {UUID}, 'gpu-1', 'gpu-1', 'error', 'deleting', 'web', UUID(), REPEAT('u', {FLAVOR}), 0, 0 FROM seq_1_to_{count} AS s"
    ))
    for table, (times, columns) in ROWS.items():
        names, values = ", ".join(columns), ", ".join(columns.values())
        server.execute(url, (
            f"INSERT INTO {table} ({names}, deleted) SELECT {values}, 0 FROM seq_1_to_{count} AS s, seq_1_to_{times} AS c"
        ))
    server.execute(url, (
        "INSERT INTO instance_actions_events (action_id, event, result, deleted)"
        " SELECT a.id, 'compute_reboot_instance', 'Success', 0 FROM instance_actions AS a"
    ))
    server.execute(url, "SET SESSION unique_checks = 1, foreign_key_checks = 1")


def purged(server: MariaDB, url: str, count: int) -> list[float]:
    """Seconds of each of a number of purges, spread over the table."""
    database, file, found = Database("nova", url, pool=1), sqlfile.load(FILE), []
    for number in range(TIMES):
        uuid = f"5e4e4000-0000-4000-8000-{1 + number * (count // TIMES):012}"
        [row] = server.rows(url, "instances", uuid=uuid)
        params: dict[str, Any] = {
            "server_id": uuid, "row_id": row["id"], "vm_state": "error", "task_state": "deleting", "updated_at": None,
            "host": "gpu-1", "heartbeat": "2024-02-29 23:59:58", "unlocked": 0,
        }
        began = time.perf_counter()
        done = database.commit(file, params, Recorder())
        found.append(time.perf_counter() - began)
        assert done.rows == 1 + sum(times for table, (times, _) in ROWS.items() if table in servers.SOFT)
    database.dispose()
    return found[1:]  # the first one opens the connection


def dumped(server: MariaDB, url: str) -> list[float]:
    """Seconds of the old way: dump the database, look for the id, delete from each table that a hit names."""
    name = url.rsplit("/", 1)[1].partition("?")[0]
    login = [f"--socket={server.socket}", f"--user={server.user}", f"--password={server.password}"]
    found = []
    for number in range(SHELL_TIMES):
        uuid = f"5e4e4000-0000-4000-8000-{5 + number:012}"
        script = (
            f"mariadb-dump --no-defaults \"$@\" --skip-extended-insert {name} | grep -a {uuid} | awk '{{print $3}}' | sort -u |"
            " tr -d '`' | while read t; do c=instance_uuid; case $t in instances|instance_id_mappings) c=uuid;; esac;"
            f" echo \"SET FOREIGN_KEY_CHECKS=0; DELETE FROM $t WHERE $c='{uuid}';\"; done | mariadb --no-defaults \"$@\" {name}"
        )
        began = time.perf_counter()
        subprocess.run(["bash", "-o", "pipefail", "-c", script, "purge", *login], check=True, timeout=1800)
        found.append(time.perf_counter() - began)
        assert server.rows(url, "instances", uuid=uuid) == []
    return found


@pytest.mark.timeout(7200)
def test_a_purge_costs_the_same_in_a_big_database(mariadb: MariaDB, report: Report) -> None:  # noqa: F811
    took = {}
    for size in (SMALL, LARGE):
        url = mariadb.create_databases(RELEASE, {"nova": servers.TABLES})["nova"]
        fill(mariadb, url, size)
        took[size] = (median(purged(mariadb, url, size)), median(dumped(mariadb, url)) if size == LARGE else 0.0)
        mariadb.drop(url)
    (small, _), (large, shell) = took[SMALL], took[LARGE]
    report.title(f"the SQL of one instance purge among {SMALL} and among {LARGE} instances")
    report.figure(f"among {SMALL}", small * 1000, " ms", digits=1)
    report.figure(f"among {LARGE}", large * 1000, " ms", digits=1)
    report.figure("ratio", large / small, most=3)
    report.figure(f"dump, grep and delete among {LARGE}", shell, " s")
    report.figure("ratio of the shell way", shell / large, least=500 if LARGE >= 1_000_000 else None, digits=0)
