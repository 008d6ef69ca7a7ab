"""Three nodes of Galera: conflicts, a node killed, cut off, desynced, held back or restarted, and the lock over all.

Whatever happens to a node, what a run says of a row is what all nodes have in the end: repaired once, untouched, or not
known and then one of the two.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa

from opsfix.errors import ConfigError, DatabaseRefused, DatabaseUnknown, GuardError, LockedError
from opsfix.gateways import database as gateway
from opsfix.gateways.database import Database, Databases
from opsfix.gateways.opening import cloud_lock
from tests.backup.server import wait_until
from tests.sql import cases
from tests.sql.cases.cinder import volume
from tests.sql.galera import Node, cluster
from tests.sql.proxy import Proxy, proxy
from tests.sql.server import MariaDB, database_name
from tests.sql.test_transaction import DONE
from tests.sql.world import Recorder, Rows, World, changed

CASE = cases.every()["volume_attachment_orphaned.cinder"]
#: What a run may say of an item: 'repaired', 'untouched', or 'unknown'.
Outcome = str


@dataclass
class Site:
    """The cluster. Node 0 is where the tests look; ``gone`` names what a test did to the others."""

    nodes: list[Node]
    mariadb: MariaDB
    opened: list[Databases] = field(default_factory=list)

    def databases(self, port: int, world: World) -> Databases:
        """A run's databases, through this port."""
        url = sa.make_url(world.url).set(port=port).render_as_string(hide_password=False)
        made = Databases({"cinder": Database("cinder", url, pool=1)}, {})
        self.opened.append(made)
        return made

    def everywhere(self, world: World) -> Rows:
        """Every row, once all nodes that are up have the same."""
        seen = [self._rows(node, world) for node in self.nodes if not node.down]
        assert all(rows == seen[0] for rows in seen)
        return world.everything()

    def _rows(self, node: Node, world: World) -> dict[str, Any]:
        found = {}
        with node.connect(database_name(world.url)) as connection, connection.cursor() as cursor:
            for table in world.tables:
                cursor.execute(f"SELECT * FROM `{table}` ORDER BY 1, 2")
                found[table] = cursor.fetchall()
        return found

    def whole(self) -> None:
        """Bring back whatever is away."""
        for node in self.nodes:
            if node.down:
                node.start()
        for node in self.nodes:
            node.synced()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """See tests.sql.galera.cluster."""
    with cluster(tmp_path_factory.mktemp("galera")) as made:
        yield made


@pytest.fixture(scope="module")
def watched(nodes: list[Node]) -> Iterator[Site]:
    """The site of all tests."""
    server = nodes[0].mariadb()
    yield Site(nodes, server)
    server.close()


@pytest.fixture
def site(watched: Site) -> Iterator[Site]:
    """The site, whole again after each test."""
    yield watched
    for databases in watched.opened:
        databases.dispose()
    watched.opened.clear()
    watched.whole()


@dataclass
class Scene:
    """One item to be repaired, and the rows as they were."""

    site: Site
    world: World
    before: Rows
    since: Any

    def assert_untouched(self, **but: Any) -> None:
        """No node has anything else than before, but for what somebody else did to the volume."""
        self.before["volumes"][self.world["volume"]["id"]].update(but)
        assert self.site.everywhere(self.world) == self.before

    def assert_repaired(self, **and_: Any) -> None:
        """Every node has the repair, once, and what somebody else did to the volume."""
        self.before["volumes"][self.world["volume"]["id"]].update(and_)
        after = self.site.everywhere(self.world)
        assert after == changed(self.before, self.world.expected, after, self.since, self.world.utc())

    def assert_as_told(self, told: Outcome) -> None:
        """The nodes have what the run said; of what it did not know, one of the two."""
        if told == "unknown":
            told = "untouched" if self.site.everywhere(self.world) == self.before else "repaired"
        (self.assert_repaired if told == "repaired" else self.assert_untouched)()


@pytest.fixture
def scene(site: Site) -> Scene:
    """The case's rows on every node."""
    world = World(site.mariadb, "2026.2", CASE.database, CASE.tables)
    CASE.seed(world)
    return Scene(site, world, world.everything(), world.utc())


def attempt(databases: Databases, params: dict[str, Any], recorder: Recorder | None = None, file: str = CASE.file) -> Outcome:
    """What a run would say: 'repaired', 'untouched' or 'unknown'."""
    try:
        databases.commit(file, params, recorder or Recorder())
    except (DatabaseRefused, GuardError, ConfigError):
        return "untouched"
    except DatabaseUnknown:
        return "unknown"
    return "repaired"


def engine(databases: Databases) -> sa.Engine:
    return databases.every()[0]._engine


def errors(databases: Databases) -> list[int]:
    """The numbers of the errors that the server answers from now on."""
    seen: list[int] = []
    sa.event.listen(engine(databases), "handle_error", lambda e: seen.append(e.original_exception.args[0]))
    return seen


def at_commit(databases: Databases, do: Callable[[], None]) -> None:
    """Once, when COMMIT is about to be sent."""
    sa.event.listen(engine(databases), "commit", lambda _: do(), once=True)


def in_background(do: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=do)
    thread.start()
    return thread


# conflicts


@pytest.mark.parametrize("when", ["sql-before", "sql-after", "commit"])
@pytest.mark.parametrize(("columns", "told"), [({"display_name": "renamed"}, "repaired"), ({"status": "detaching"}, "untouched")])
def test_who_writes_the_same_row_on_another_node_first_wins(
    scene: Scene, when: str, columns: dict[str, str], told: Outcome
) -> None:
    """Certification fails, the guards are asked again: the repair follows the other's write, or is refused."""
    other = scene.site.nodes[2]
    databases = scene.site.databases(scene.site.nodes[1].port, scene.world)
    done: list[str] = []

    def write() -> None:
        if not done:
            [(column, value)] = columns.items()
            done.append(value)
            update = f"UPDATE volumes SET {column} = %s WHERE id = %s"
            other.execute(update, value, scene.world["volume"]["id"], database=database_name(scene.world.url))

    seen, recorder = errors(databases), Recorder(when, write)
    if when == "commit":
        at_commit(databases, write)
    assert attempt(databases, scene.world.params, recorder) == told
    assert seen == [1213]
    assert recorder.names.count("sql-committed") == (told == "repaired")
    assert recorder.names[-3:] == DONE or told == "untouched"
    (scene.assert_repaired if told == "repaired" else scene.assert_untouched)(**columns)


def test_of_two_runs_on_two_nodes_one_repairs(scene: Scene) -> None:
    """Even without the lock: both commit at the same moment, one is certified; the other finds its guard broken or, where
    the winner wrote the very same rows in the same second, those."""
    barrier, told = threading.Barrier(2), []

    def run(node: Node) -> None:
        databases = scene.site.databases(node.port, scene.world)
        first = Recorder("sql-after", lambda: suppress_broken(barrier))
        told.append(attempt(databases, dict(scene.world.params), first))

    threads = [in_background(functools.partial(run, node)) for node in scene.site.nodes[1:]]
    for thread in threads:
        thread.join()
    assert "repaired" in told
    assert "unknown" not in told
    scene.assert_repaired()


def suppress_broken(barrier: threading.Barrier) -> None:
    """Wait for the other, once; a second attempt has nobody to wait for."""
    with suppress(threading.BrokenBarrierError):
        barrier.wait(2)


# a node dies


@contextmanager
def failing_over(site: Site, *order: int) -> Iterator[Proxy]:
    """A proxy that leads to the first of these nodes that is synced, as a load balancer with a health check does."""

    def target() -> int:
        wait_until(lambda: any(ready(site.nodes[n]) for n in order), 30, "a node is synced")
        return next(site.nodes[n].port for n in order if ready(site.nodes[n]))

    with proxy(target) as made:
        yield made


def ready(node: Node) -> bool:
    return not node.down and node.state == "Synced"


@pytest.mark.parametrize("moment", ["before", "after", "during"])
def test_a_node_that_dies_in_a_commit_leaves_all_of_it_or_nothing(scene: Scene, moment: str) -> None:
    """Read back on the next node, the outcome is known."""
    victim = scene.site.nodes[1]
    with failing_over(scene.site, 1, 2) as balancer:
        databases = scene.site.databases(balancer.port, scene.world)
        killers = []

        def die(_number: int, text: str) -> str | None:
            if text != "COMMIT":
                return None
            balancer.fate = lambda *_: None
            if moment == "before":
                victim.kill()
            if moment == "during":
                killers.append(in_background(victim.kill))
            return "after" if moment == "after" else None

        if moment == "after":
            sa.event.listen(engine(databases), "handle_error", lambda _: victim.kill(), once=True)
        recorder = Recorder("sql-after", lambda: setattr(balancer, "fate", die))
        told = attempt(databases, scene.world.params, recorder)
        for killer in killers:
            killer.join()
    assert told == {"before": "untouched", "after": "repaired"}.get(moment, told)
    assert told != "unknown"
    assert ("sql-committed" in recorder.names) == (told == "repaired")
    scene.assert_as_told(told)
    scene.site.whole()
    scene.assert_as_told(told)


def test_a_node_that_dies_in_a_commit_and_has_no_other_is_unknown(scene: Scene) -> None:
    victim = scene.site.nodes[1]
    databases = scene.site.databases(victim.port, scene.world)
    at_commit(databases, victim.kill)
    with pytest.raises(DatabaseUnknown, match=r"reading back failed: the database cinder at .* cannot be used"):
        databases.commit(CASE.file, scene.world.params, Recorder())
    scene.site.whole()
    scene.assert_untouched()
    assert attempt(databases, scene.world.params) == "repaired"
    scene.assert_repaired()


# a node is cut off


def test_a_node_that_is_cut_off_before_a_commit_claims_nothing(scene: Scene) -> None:
    victim = scene.site.nodes[1]
    databases = scene.site.databases(victim.port, scene.world)
    at_commit(databases, lambda: victim.isolate(True))
    recorder = Recorder()
    try:
        told = attempt(databases, scene.world.params, recorder)
        wait_until(lambda: victim.status("wsrep_cluster_status") != "Primary", 20, "the node is alone")
        with pytest.raises((GuardError, ConfigError), match=r"not safe to use|WSREP"):
            databases.check()
        assert attempt(databases, scene.world.params) == "untouched"
    finally:
        victim.isolate(False)
        scene.site.whole()
    assert ("sql-committed" in recorder.names) == (told == "repaired")
    scene.assert_as_told(told)


def test_a_node_that_lags_by_order_is_not_used(scene: Scene) -> None:
    victim = scene.site.nodes[1]
    databases = scene.site.databases(victim.port, scene.world)
    victim.execute("SET GLOBAL wsrep_desync = ON")
    try:
        wait_until(lambda: victim.state == "Donor/Desynced", 20, "the node is desynced")
        with pytest.raises(GuardError, match="Donor/Desynced: use another node"):
            databases.commit(CASE.file, scene.world.params, Recorder())
    finally:
        victim.execute("SET GLOBAL wsrep_desync = OFF")
    victim.synced()
    scene.assert_untouched()


# flow control


@contextmanager
def held_back(site: Site, world: World) -> Iterator[None]:
    """A node that does not get on with applying, so that the others have to wait for it with each commit."""
    slow, database = site.nodes[2], database_name(world.url)
    beats = threading.Event()

    def beat() -> None:
        with site.nodes[0].connect(database) as connection, connection.cursor() as cursor:
            while not beats.is_set():
                with suppress(pymysql.MySQLError):
                    cursor.execute("UPDATE services SET report_count = report_count + 1")

    with slow.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLES services WRITE")
        writer = in_background(beat)
        try:
            paused = int(site.nodes[0].status("wsrep_flow_control_paused_ns"))
            wait_until(lambda: int(site.nodes[0].status("wsrep_flow_control_paused_ns")) > paused + 10**8, 20, "commits wait")
            yield
        finally:
            beats.set()
            cursor.execute("UNLOCK TABLES")
    writer.join()


def unhurried(rows: Rows) -> Rows:
    """Without what the heartbeats of held_back write."""
    return {table: found for table, found in rows.items() if table != "services"}


@pytest.mark.parametrize("patience", [60, 1])
def test_a_commit_that_flow_control_holds_back_is_waited_for_or_unknown(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, patience: int
) -> None:
    monkeypatch.setattr(gateway, "engine", functools.partial(gateway.engine, seconds=patience))
    databases = scene.site.databases(scene.site.nodes[1].port, scene.world)
    engine(databases).connect().close()
    told: list[Outcome] = []
    with held_back(scene.site, scene.world):
        reached = threading.Event()
        at_commit(databases, reached.set)
        run = in_background(lambda: told.append(attempt(databases, scene.world.params)))
        if patience == 1:
            run.join(30)
        else:
            assert reached.wait(20) or not told
    run.join(30)
    services = scene.world.everything()["services"]
    assert told == (["repaired"] if patience == 60 else ["unknown"])
    scene.before["services"] = services
    scene.assert_as_told(told[0])
    attempt(databases, scene.world.params)
    scene.assert_repaired()


# a rolling restart


def test_a_rolling_restart_loses_nothing_and_doubles_nothing(site: Site) -> None:
    world = World(site.mariadb, "2026.2", "cinder", cases.every()["volume_abandoned.cinder"].tables)
    ids = [volume(world, f"volume {number}", status="reserved") for number in range(60)]
    before, since, told = world.everything(), world.utc(), {}
    for volume_id in ids:
        world.expected.setdefault("volumes", {})[volume_id] = {"status": "available", "attach_status": "detached"}
    over = threading.Event()

    def repair(databases: Databases) -> None:
        waiting = list(ids)
        while waiting:
            volume_id = waiting.pop(0)
            params = {"volume_id": volume_id, "volume_status": "reserved"}
            told.setdefault(volume_id, []).append(attempt(databases, params, file="volume_abandoned.cinder"))
            if told[volume_id][-1] == "untouched" and len(told[volume_id]) < 50:
                waiting.append(volume_id)
            over.wait(0.1)

    with failing_over(site, 1, 2, 0) as balancer:
        run = in_background(functools.partial(repair, site.databases(balancer.port, world)))
        for node in (site.nodes[2], site.nodes[1], site.nodes[0]):
            node.stop()
            node.start()
        over.set()
        run.join(60)
    site.mariadb.reconnect()
    after = site.everywhere(world)
    assert after == changed(before, world.expected, after, since, world.utc())
    assert sorted(told) == sorted(ids)
    assert all(said.count("repaired") == 1 or "unknown" in said for said in told.values())


# the lock


def test_the_lock_holds_across_nodes(site: Site, scene: Scene) -> None:
    first, second = (site.databases(node.port, scene.world) for node in site.nodes[1:])
    with cloud_lock(first) as lock:
        assert lock.warnings == []
        for node in site.nodes:
            with pytest.raises(LockedError, match="another run"), cloud_lock(site.databases(node.port, scene.world)):
                pass
        first.commit(CASE.file, scene.world.params, Recorder())
    with cloud_lock(second) as lock:
        assert lock.warnings == []
    scene.assert_repaired()


def test_the_lock_holds_while_a_node_is_away_and_is_lost_with_its_node(site: Site, scene: Scene) -> None:
    """Two of three are a majority; a run that lost a node's lock commits nothing more."""
    away, here = site.nodes[2], site.nodes[1]
    first = site.databases(here.port, scene.world)
    away.kill()
    wait_until(lambda: here.status("wsrep_cluster_size") == "2", 20, "the cluster knows")
    with cloud_lock(first) as lock:
        assert lock.warnings == []
        with pytest.raises(LockedError), cloud_lock(site.databases(site.nodes[0].port, scene.world)):
            pass
        away.start()
        with pytest.raises(LockedError), cloud_lock(site.databases(away.port, scene.world)):
            pass
        here.kill()
        with pytest.raises(LockedError, match="the cloud's lock was lost"):
            first.commit(CASE.file, scene.world.params, Recorder())
    site.whole()
    scene.assert_untouched()
