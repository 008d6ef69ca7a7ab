"""Finding the cells, proving the databases, and the lock that keeps a second run off the cloud."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa

from opsfix.config import Settings, Value
from opsfix.errors import ConfigError, GuardError, LockedError
from opsfix.gateways import opening
from opsfix.gateways.database import Database, Databases
from opsfix.gateways.opening import (
    cloud_lock,
    filled,
    open_databases,
    prove_aggregates,
    prove_images,
    prove_live,
    prove_mappings,
    prove_providers,
)
from opsfix.resources import Aggregate, Image, Provider, Service
from tests.sql import cases
from tests.sql.server import MariaDB, database_name
from tests.sql.world import Recorder

SECRET = "tell-nobody"
#: Nobody listens there.
AWAY = "127.0.0.1:1"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def url(mariadb: MariaDB) -> str:
    """An empty cinder database."""
    return mariadb.databases("2026.2", {"cinder": ["volumes", "services"]})["cinder"]


@pytest.fixture
def cinder(url: str) -> Iterator[Databases]:
    """A run's databases."""
    databases = Databases({"cinder": Database("cinder", url, pool=1)}, {})
    yield databases
    databases.dispose()


def settings(**urls: str) -> Settings:
    """Settings that name these databases."""
    return Settings({"workers": Value(2, "default")}, {name: Value(url, "test") for name, url in urls.items()})


def service(host: str, seen: datetime) -> Service:
    """A cinder-volume that the API calls up."""
    fields = Service.__dataclass_fields__
    given = {"binary": "cinder-volume", "host": host, "state": "up", "updated_at": seen}
    return Service(**{name: given.get(name) for name in fields})


def cluster(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let the server name these nodes."""
    real = opening._nodes

    class Told:
        def exec_driver_sql(self, _: str) -> Any:
            return sa.create_engine("sqlite://").connect().execute(sa.text("SELECT 'x', :a"), {"a": ",".join(addresses)})

    monkeypatch.setattr(opening, "_nodes", lambda _, url: real(Told(), url))


def address(url: str) -> str:
    """HOST:PORT of the tests' server."""
    made = sa.make_url(url)
    return f"{made.host}:{made.port}"


# cells


@pytest.mark.parametrize("names", [("cell1", "cell1"), (None, "cell1"), (None, None)])
def test_cells_are_told_apart_by_uuid(mariadb: MariaDB, names: tuple[str | None, str | None]) -> None:
    api = mariadb.databases("2026.2", {"nova_api": ["cell_mappings"]})["nova_api"]
    urls = mariadb.databases("2026.2", {"nova": ("instances",), "nova_cell0": ("instances",)})
    rows = [
        mariadb.insert(api, "cell_mappings", name=name, database_connection=url, transport_url="none:///")
        for name, url in zip(names, urls.values(), strict=True)
    ]
    for number, each in enumerate(urls.values()):
        mariadb.insert(each, "instances", uuid=f"server-{number}")
    databases = open_databases(settings(nova_api=api))
    assert databases is not None
    assert list(databases.cell_names()) == [row["uuid"] for row in rows]
    for number, row in enumerate(rows):
        [found] = databases.read("read_server_live.nova", {"server_id": f"server-{number}"})
        assert found["cell"] == row["uuid"]
        assert databases.read("read_server_live.nova", {"server_id": f"server-{number}"}, cell=row["uuid"])
        assert f"nova (cell {row['name'] or row['uuid']}) at" in str(databases.cells[row["uuid"]])
    databases.dispose()


def test_cells_that_cannot_be_read_are_an_error_of_the_configuration(mariadb: MariaDB, url: str) -> None:
    with pytest.raises(ConfigError, match=r"the cells of nova cannot be read: .*error 1146"):
        open_databases(settings(nova_api=url))
    empty = mariadb.databases("2026.2", {"nova_api": ["cell_mappings"]})["nova_api"]
    with pytest.raises(GuardError, match="maps no cell"):
        open_databases(settings(nova_api=empty))


@pytest.mark.parametrize(
    ("template", "default", "url"),
    [
        ("mysql://a:b@c/d", None, "mysql://a:b@c/d"),
        (
            "{scheme}://{username}:{password}@{hostname}:{port}/{path}?{query}", "mysql+pymysql://n:p%40s@db:3307/nova?ssl_ca=x",
            "mysql+pymysql://n:p%40s@db:3307/nova?ssl_ca=x",
        ),
        ("{scheme}://{username}:{password}@{hostname}/nova_cell0", "mysql+pymysql://n:p@db/nova", "mysql+pymysql://n:p@db/nova_cell0"),
        ("{scheme}://u@{hostname}:{port}/x", "mysql+pymysql://n:p@db/nova", "mysql+pymysql://u@db:3306/x"),
    ],
)  # fmt: skip
def test_a_template_is_filled_as_nova_fills_it(template: str, default: str | None, url: str) -> None:
    assert filled(template, default, "cell1") == url


@pytest.mark.parametrize(
    ("template", "default", "told"),
    [
        ("{scheme}://x", None, "set databases.nova"),
        ("{scheme}://{what}", f"mysql+pymysql://n:{SECRET}@db/nova", "unknown fields: what"),
        ("{scheme}://x", f"nova:{SECRET}@db", "not a URL"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(template: str, default: str | None, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as e:
        filled(template, default, "cell1")
    assert SECRET not in str(e.value)


# the databases behind the API


def test_the_newest_of_several_heartbeats_counts(mariadb: MariaDB, url: str, cinder: Databases) -> None:
    for seen in (NOON - timedelta(days=90), NOON, NOON - timedelta(days=30), None):
        mariadb.insert(url, "services", binary="cinder-volume", host="c1", updated_at=seen and seen.replace(tzinfo=None))
    prove_live(cinder, [], [service("c1", NOON + timedelta(seconds=1))])
    with pytest.raises(GuardError, match=r"not the one behind the API.*in the database 2026-11-20 12:00:00"):
        prove_live(cinder, [], [service("c1", NOON + timedelta(seconds=9))])
    with pytest.raises(GuardError, match="in the database never"):
        prove_live(cinder, [], [service("c2", NOON)])
    with pytest.raises(GuardError, match="no service of cinder is up"):
        prove_live(cinder, [], [])


# glance has no heartbeat


def shown(image_id: str, changed_at: datetime) -> Image:
    """An image that the API lists."""
    return Image(image_id, "name", "project", "active", created_at=NOON, updated_at=changed_at)


def test_a_glance_database_must_have_the_images_that_the_api_shows_as_new(mariadb: MariaDB) -> None:
    url = mariadb.databases("2026.2", {"glance": ["images"]})["glance"]
    databases = Databases({"glance": Database("glance", url, pool=1)}, {})
    second = timedelta(seconds=1)
    mariadb.insert(url, "images", id="a", status="active", created_at=NOON, updated_at=NOON)
    mariadb.insert(url, "images", id="b", status="queued", created_at=NOON, updated_at=None)
    mariadb.insert(url, "images", id="c", status="active", created_at=NOON, updated_at=NOON, deleted=1)
    prove_images(databases, [shown("a", NOON), shown("a", NOON - second), shown("b", NOON)])
    with pytest.raises(GuardError, match=r"image a changed at 2026-11-20 12:00:01, in the database 2026-11-20 12:00:00"):
        prove_images(databases, [shown("b", NOON), shown("a", NOON + second)])
    for unknown in ("c", "d"):
        with pytest.raises(GuardError, match=r"not the one behind the API.*never"):
            prove_images(databases, [shown("a", NOON), shown(unknown, NOON)])
    with pytest.raises(GuardError, match=r"lists no image"):
        prove_images(databases, [])
    databases.dispose()


def test_a_placement_database_must_have_every_provider_as_new_as_the_api_shows_it(mariadb: MariaDB) -> None:
    url = mariadb.databases("2026.2", {"placement": ["resource_providers"]})["placement"]
    databases = Databases({"placement": Database("placement", url, pool=1)}, {})
    mariadb.insert(url, "resource_providers", uuid="a", name="gpu-1", generation=7)
    mariadb.insert(url, "resource_providers", uuid="new", name="gpu-2", generation=0)
    prove_providers(databases, [])
    prove_providers(databases, [Provider("a", "gpu-1", 7), Provider("a", "gpu-1", 6), Provider("new", "gpu-2", 0)])
    with pytest.raises(GuardError, match=r"provider gpu-1 has generation 8, in the database 7"):
        prove_providers(databases, [Provider("a", "gpu-1", 8)])
    with pytest.raises(GuardError, match=r"not the one behind the API.*gpu-3 has generation 0, in the database none"):
        prove_providers(databases, [Provider("a", "gpu-1", 7), Provider("b", "gpu-3", 0)])
    databases.dispose()


def test_a_nova_api_database_must_have_the_aggregates_that_the_api_shows(mariadb: MariaDB) -> None:
    url = mariadb.databases("2026.2", {"nova_api": ["aggregates", "aggregate_hosts"]})["nova_api"]
    databases = Databases({"nova_api": Database("nova_api", url, pool=1)}, {})
    number = mariadb.insert(url, "aggregates", name="a")["id"]
    empty = mariadb.insert(url, "aggregates", name="empty")["id"]
    mariadb.insert(url, "aggregate_hosts", aggregate_id=number, host="gpu-1")
    prove_aggregates(databases, [])
    prove_aggregates(databases, [Aggregate(number, "a", ("gpu-1",)), Aggregate(empty, "empty")])
    for other in (Aggregate(number, "a"), Aggregate(number, "a", ("GPU-1",)), Aggregate(empty, "e", ("gpu-1",)), Aggregate(99, "n")):
        with pytest.raises(GuardError, match=r"not the one behind the API"):
            prove_aggregates(databases, [other])
    databases.dispose()


def test_a_nova_api_database_must_know_most_of_the_servers_that_were_made_last(mariadb: MariaDB) -> None:
    """An older copy knows none of them; one that has lost its mapping is what a purge is for."""
    url = mariadb.databases("2026.2", {"nova_api": ["instance_mappings", "build_requests"]})["nova_api"]
    databases = Databases({"nova_api": Database("nova_api", url, pool=1)}, {})
    for server in ("a", "b"):
        mariadb.insert(url, "instance_mappings", instance_uuid=server, project_id="p")
    mariadb.insert(url, "build_requests", instance_uuid="requested", project_id="p")
    prove_mappings(databases, [])
    prove_mappings(databases, ["a", "lost", "requested"])
    for newer in (["c"], ["a", "c"], ["a", "c", "d"]):
        with pytest.raises(GuardError, match=r"not the one behind the API"):
            prove_mappings(databases, newer)
    databases.dispose()


# the lock


def test_a_second_run_is_refused_until_the_first_ends(cinder: Databases, url: str) -> None:
    second = Databases({"cinder": Database("cinder", url, pool=1)}, {})
    with cloud_lock(cinder) as lock:
        assert lock.warnings == []
        lock.held()
        with pytest.raises(LockedError, match="another run") as e, cloud_lock(second):
            pass
        assert "password" not in str(e.value)
    with cloud_lock(second) as lock:
        lock.held()
    second.dispose()


@pytest.mark.parametrize(
    ("nodes", "held"),
    [
        (["{here}"], None), ([], None), (["{here}", ""], None), (["", "AUTO", AWAY], "1 of 2"),
        (["{here}", AWAY], "1 of 2"), (["{here}", AWAY, "[::1]:1"], "1 of 3"), (["AUTO", "AUTO", "AUTO"], "1 of 3"),
        (["nonsense]:x", "{here}"], "1 of 2"),
    ],
)  # fmt: skip
def test_nodes_that_cannot_be_reached_are_told(
    cinder: Databases, url: str, monkeypatch: pytest.MonkeyPatch, nodes: list[str], held: str | None
) -> None:
    cluster(monkeypatch, *(node.format(here=address(url)) for node in nodes))
    with cloud_lock(cinder) as lock:
        lock.held()
        assert [f"held only on {held} nodes" in text for text in lock.warnings] == ([True] if held else [])


def several(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each connection seem to be another server's."""
    numbers = itertools.count()
    monkeypatch.setattr(opening, "_server", lambda _: (next(numbers),))


def test_a_lock_on_another_node_refuses(cinder: Databases, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one server plays both nodes: its answer to the second is that the lock is taken."""
    cluster(monkeypatch, address(url))
    several(monkeypatch)
    with pytest.raises(LockedError), cloud_lock(cinder):
        pass
    assert cinder.guard is None


def test_a_majority_needs_no_warning(cinder: Databases, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster(monkeypatch, address(url), address(url).replace("127.0.0.1", "localhost"), AWAY)
    several(monkeypatch)
    monkeypatch.setattr(opening, "_take", lambda *_: None)
    with cloud_lock(cinder) as lock:
        assert lock.warnings == []


def test_addresses_of_nodes(url: str) -> None:
    base = sa.make_url("mysql+pymysql://u:p@vip:3306/cinder?ssl_ca=/ca.pem&unix_socket=/run/x")
    seen = {a: opening._node(base, a) for a in ("db1:3307", "[fd00::1]:3306", "10.0.0.1", "[fd00::2]", "10.0.0.1:0", "AUTO")}
    assert {a: n and (n.host, n.port) for a, n in seen.items()} == {
        "db1:3307": ("db1", 3307), "[fd00::1]:3306": ("fd00::1", 3306), "10.0.0.1": ("10.0.0.1", 3306),
        "[fd00::2]": ("fd00::2", 3306), "10.0.0.1:0": ("10.0.0.1", 3306), "AUTO": None,
    }  # fmt: skip


def test_the_configured_server_must_be_reached(url: str) -> None:
    wrong = sa.make_url(url).set(password=SECRET).render_as_string(hide_password=False)
    with pytest.raises(ConfigError, match="Access denied") as e, cloud_lock(Databases({"cinder": Database("cinder", wrong)}, {})):
        pass
    assert SECRET not in str(e.value)


def cut(mariadb: MariaDB, url: str) -> None:
    """End the session that holds the lock, as a proxy does with idle ones."""
    [row] = mariadb.execute(url, f"SELECT IS_USED_LOCK('opsfix/{database_name(url)}') AS id")
    mariadb.execute(url, f"KILL {row['id']}")


def release(mariadb: MariaDB, url: str, lock: opening.CloudLock) -> None:
    """Take the lock from a session that goes on."""
    connection, name, _ = lock._held[0]
    connection.exec_driver_sql(f"DO RELEASE_LOCK('{name}')")
    with pymysql.connect(unix_socket=str(mariadb.socket), user=mariadb.user, password=mariadb.password) as other:
        other.cursor().execute("SELECT GET_LOCK(%s, 0)", (f"opsfix/{database_name(url)}",))


@pytest.mark.parametrize("lose", [lambda m, u, _: cut(m, u), release], ids=["cut", "released"])
def test_nothing_is_committed_without_the_lock(
    mariadb: MariaDB, lose: Callable[[MariaDB, str, opening.CloudLock], None]
) -> None:
    case = cases.every()["volume_abandoned.cinder"]
    url = mariadb.databases("2026.2", {"cinder": tuple(case.tables)})["cinder"]
    databases = Databases({"cinder": Database("cinder", url, pool=1)}, {})
    recorder = Recorder()
    with cloud_lock(databases) as lock:
        lose(mariadb, url, lock)
        for _ in range(2):
            with pytest.raises(LockedError, match=r"the cloud's lock was lost \(node 127.0.0.1"):
                databases.commit(case.file, {}, recorder)
    assert recorder.names == []
    databases.dispose()
