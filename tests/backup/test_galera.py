"""A Galera node, alone in its cluster: what is noted of it, and when it is left alone."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backup.conftest import Backups
from tests.backup.server import Server, running, wait_until

PROVIDER = "/usr/lib/galera/libgalera_smm.so"


@pytest.fixture(scope="module")
def node(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A node that is Synced and Primary."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = (
        "--wsrep-on=ON", f"--wsrep-provider={PROVIDER}", "--wsrep-cluster-address=gcomm://", "--wsrep-new-cluster",
        f"--wsrep-node-address=127.0.0.1:{port}", "--binlog-format=ROW", "--innodb-autoinc-lock-mode=2",
        f"--wsrep-provider-options=base_host=127.0.0.1;base_port={port};gmcast.listen_addr=tcp://127.0.0.1:{port}",
    )
    with running(template, tmp_path_factory.mktemp("node"), *options) as found:
        wait_until(lambda: state(found) == "Synced", 60, "the node is synced")
        yield found


def state(node: Server) -> str:
    return str(node.execute("SHOW STATUS LIKE 'wsrep_local_state_comment'")[0]["Value"])


def test_where_the_cluster_stood_is_noted(node: Server, backups: Backups) -> None:
    here = Backups(node, backups.root)
    report = here.take("--databases", "placement")
    position = here.manifest(report["backup"])["servers"][0]["position"]
    assert position["wsrep_cluster_state_uuid"] == node.execute("SHOW STATUS LIKE 'wsrep_cluster_state_uuid'")[0]["Value"]
    assert int(position["wsrep_last_committed"]) >= 0
    checks = {c["what"]: c["value"] for c in json.loads(here.run("status", "-o", "json").out)["checks"]}
    assert checks["galera"] == "1 nodes, Primary, Synced"


def test_a_node_that_is_not_synced_is_left_alone(node: Server, backups: Backups) -> None:
    here = Backups(node, backups.root)
    node.execute("SET GLOBAL wsrep_desync = ON")
    try:
        wait_until(lambda: state(node) != "Synced", 20, "the node is desynced")
        done = here.run("backup", "--databases", "placement")
        assert here.run("status").code == 4
    finally:
        node.execute("SET GLOBAL wsrep_desync = OFF")
    assert done.code == 5
    assert "Donor/Desynced" in done.err
    assert here.names() == []
    wait_until(lambda: state(node) == "Synced", 20, "the node is synced again")


@pytest.mark.parametrize("works", [True, False])
def test_a_node_is_desynced_for_the_time_of_the_dump_alone(node: Server, backups: Backups, works: bool) -> None:
    here = Backups(node, backups.root)
    seen: set[str] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.add(state(node))

    watcher = threading.Thread(target=look)
    watcher.start()
    broken = {} if works else {"PATH": "/usr/bin:/bin", "OPSFIX_DATABASE_GLANCE": node.url("glance", "glance", "own")}
    try:
        ran = here.run("backup", "--desync", **broken)
    finally:
        done.set()
        watcher.join()
    assert (ran.code == 0) is works, ran.err
    assert "Donor/Desynced" in seen
    wait_until(lambda: state(node) == "Synced", 20, "the node is synced again")
