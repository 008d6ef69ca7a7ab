"""Which hosts are up, by whom, and how old is old."""

from datetime import UTC, datetime, timedelta

import pytest

from opsfix import scene as module
from opsfix.errors import CloudUnknown
from opsfix.scene import Scene
from tests.fakes.cloud import FakeCloud
from tests.fakes.databases import FakeDatabases


@pytest.fixture
def three(cloud: FakeCloud) -> FakeCloud:
    """An up, a down and an unreachable host."""
    cloud.add_host("up-1")
    cloud.add_host("down-1")
    cloud.kill_host("down-1")
    cloud.add_host("lost-1", "cell2")
    cloud.cell_down("cell2")
    return cloud


@pytest.mark.parametrize(
    ("host", "fenced", "state"),
    [
        (None, [], "none"), ("", [], "none"),
        ("up-1", [], "up"), ("up-1", ["up-1"], "up, yet said to be fenced"), ("up-1", ["down-1"], "up"),
        ("down-1", [], "down"), ("down-1", ["down-1"], "fenced"), ("down-1", ["DOWN-1"], "down"),
        ("lost-1", [], "unknown"), ("lost-1", ["lost-1"], "fenced"),
        ("no-such", [], "missing"), ("no-such", ["no-such"], "fenced"),
    ],
)
def test_compute_states(three: FakeCloud, host: str | None, fenced: list[str], state: str) -> None:
    assert Scene(three, fenced=frozenset(fenced)).compute_state(host) == state


@pytest.mark.parametrize(
    ("backend", "fenced", "down", "state"),
    [
        (None, [], False, "none"), ("store@lvm", [], False, "up"), ("store@lvm", [], True, "down"),
        ("store@lvm", ["store"], True, "fenced"), ("store@lvm", ["store@lvm"], True, "fenced"),
        ("store@lvm", ["store"], False, "up"), ("other@lvm", [], False, "missing"),
        ("other@lvm", ["other"], False, "fenced"),
    ],
)
def test_backend_states(cloud: FakeCloud, backend: str | None, fenced: list[str], down: bool, state: str) -> None:
    if down:
        cloud.kill_backend()
    assert Scene(cloud, fenced=frozenset(fenced)).backend_state(backend) == state


def test_a_down_cell_is_seen(three: FakeCloud, cloud: FakeCloud) -> None:
    assert not Scene(three).cells_up()
    assert Scene(FakeCloud()).cells_up()


def test_the_services_are_read_again_after_a_while(cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.add_host("cmp-1")
    scene = Scene(cloud)
    assert scene.compute_state("cmp-1") == "up"
    cloud.kill_host("cmp-1")
    assert scene.compute_state("cmp-1") == "up"
    monkeypatch.setattr(module, "FRESH", 0.0)
    assert scene.compute_state("cmp-1") == "down"


def test_the_heartbeat_is_naive_utc_in_whole_seconds(cloud: FakeCloud) -> None:
    cloud.add_host("cmp-1")
    cloud.world.services[-1].updated_at = datetime(2026, 11, 20, 7, 15, 1, 999999, tzinfo=UTC)
    assert Scene(cloud).heartbeat("cmp-1") == datetime(2026, 11, 20, 7, 15, 1)  # noqa: DTZ001
    assert Scene(cloud).heartbeat("no-such") is None


def test_idle() -> None:
    now = datetime.now(UTC)
    scene = Scene(FakeCloud(), older_than=timedelta(minutes=15))
    assert scene.idle(None)
    assert scene.idle(now - timedelta(minutes=15))
    assert not scene.idle(now - timedelta(minutes=14))
    assert not scene.idle(now + timedelta(minutes=1)), "a clock that is ahead proves no age"
    assert Scene(FakeCloud(), older_than=timedelta(0)).idle(now)


def test_databases_that_are_configured(cloud: FakeCloud) -> None:
    scene = Scene(cloud, FakeDatabases(cloud, ("cinder",)))
    assert scene.has("cinder")
    assert not scene.has("cinder", "nova")
    assert not Scene(cloud).has("cinder")


def test_servers_are_listed_once_for_many_volumes(cloud: FakeCloud) -> None:
    volume, server = cloud.attached()
    free = cloud.add_volume()
    scene = Scene(cloud)
    scene.list_mapped([volume, free])
    cloud.lose("servers", times=None)
    assert scene.mapping_servers(volume) == {server}
    assert scene.mapping_servers(free) == set()
    with pytest.raises(CloudUnknown):
        scene.mapping_servers("another")


def test_a_listing_without_all_cells_is_none(cloud: FakeCloud) -> None:
    """A down cell whose servers nova leaves out altogether."""
    cloud.add_host("cmp-9", "cell2")
    cloud.cell_down("cell2")
    scene = Scene(cloud)
    with pytest.raises(CloudUnknown, match="not complete"):
        scene.list_mapped(["volume"])
    assert scene.mapped == {}
