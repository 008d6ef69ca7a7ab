"""Whatever the state of a volume: what no run may do to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsfix.engine import way as engine
from opsfix.model import Item, Mode, Outcome
from tests.fakes.cloud import FakeCloud
from tests.unit.driving import Driver, unchanged

HOSTS = ("cmp-1", "cmp-2")
#: state that the API tells, whether nova-compute runs, whether the operator calls it fenced (it is then really off)
HOST_STATES = (("up", True, False), ("up", False, False), ("down", False, False), ("down", False, True))
STATUSES = (
    "available", "in-use", "attaching", "detaching", "reserved", "error", "deleting", "error_deleting", "creating",
)
VM_STATES = (("active", 1), ("stopped", 4), ("error", 1), ("shelved_offloaded", 4), ("building", 0), ("paused", 3))


@dataclass(frozen=True)
class Guest:
    """A server: on which host, how, and whether nova still has it."""

    host: str
    vm: tuple[str, int]
    task_state: str | None
    gone: bool
    moving: bool


@dataclass(frozen=True)
class State:
    """All around one volume. Attachments and mappings name servers by number."""

    status: str
    attach_status: str
    migrating: bool
    hosts: tuple[tuple[str, bool, bool], ...]
    backend_up: bool
    guests: tuple[Guest, ...]
    attachments: tuple[tuple[int, str, bool, str], ...]
    mappings: tuple[tuple[int, int | None, bool, bool], ...]
    databases: bool
    hung: bool


def often(usual: object, *others: object) -> st.SearchStrategy:
    """Mostly the usual value."""
    return st.sampled_from([usual] * 4 + list(others))


GUESTS = st.builds(
    Guest, host=st.sampled_from(HOSTS), vm=often(VM_STATES[0], *VM_STATES), task_state=often(None, "rebooting"),
    gone=st.booleans(), moving=often(False, True),
)
STATES = st.builds(
    State,
    status=st.sampled_from(STATUSES),
    attach_status=st.sampled_from(["attached", "detached"]),
    migrating=often(False, True),
    hosts=st.tuples(*[st.sampled_from(HOST_STATES)] * 2),
    backend_up=often(True, False),
    guests=st.lists(GUESTS, min_size=1, max_size=2).map(tuple),
    attachments=st.lists(
        st.tuples(
            st.integers(0, 1), often("attached", "attaching", "reserved", "detaching", "error_attaching"),
            often(True, False), st.sampled_from(HOSTS),
        ),
        max_size=3,
    ).map(tuple),
    mappings=st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from([0, 1, 2, 0, 1, 9, None]), often(False, True), often(True, False)),
        max_size=2,
    ).map(tuple),
    databases=st.booleans(),
    hung=often(False, True),
)


def built(state: State) -> tuple[FakeCloud, str]:
    """The cloud in that state, and the volume."""
    cloud = FakeCloud()
    for host in HOSTS:
        cloud.add_host(host)
    volume = cloud.add_volume(
        status=state.status, attach_status=state.attach_status, multiattach=True,
        migration_status="migrating" if state.migrating else None,
    )
    servers = [
        cloud.add_server(host=g.host, vm_state=g.vm[0], power_state=g.vm[1], task_state=g.task_state)
        for g in state.guests
    ]
    attachments = []
    for number, status, has_info, host in state.attachments:
        server = servers[number % len(servers)]
        connected = has_info and status != "reserved"
        at = host if status == "attached" else state.guests[number % len(servers)].host
        attachments.append(
            cloud.add_attachment(volume, server, status, connected=connected, host=at if connected else None)
        )
    for number, which, root, connected in state.mappings:
        server = servers[number % len(servers)]
        attachment = None if which is None else attachments[which] if which < len(attachments) else "gone"
        cloud.add_mapping(server, volume, attachment, root=root, connected=connected)
    for server, guest in zip(servers, state.guests, strict=True):
        if guest.moving:
            cloud.add_migration(server)
        if guest.gone:
            cloud.lose_server(server)
    _settle(cloud, state, servers, volume)
    return cloud, volume


def _settle(cloud: FakeCloud, state: State, servers: list[str], volume: str) -> None:
    """What the hosts' states make true: who runs, and which guest has the disk."""
    held = set()
    for attachment in cloud.world.volumes[volume].live:
        if attachment.connected and attachment.status != "error_attaching" and attachment.server_id and attachment.host:
            held.add((attachment.server_id, attachment.host))
    for mapping in cloud.world.mappings_of(volume):
        if mapping.connected:
            held.add((mapping.server_id, str(cloud.world.servers[mapping.server_id].host)))
    off = {h for h, (_, _, fenced) in zip(HOSTS, state.hosts, strict=True) if fenced}
    # That a host died within the last minute nobody can know: what it had let go of before, it has let go of.
    said_up = {h for h, (told, _, _) in zip(HOSTS, state.hosts, strict=True) if told == "up"}
    cloud.world.holds = set()
    for server, host in held:
        guest = state.guests[servers.index(server)]
        here = host == guest.host and not guest.gone
        if guest.vm[1] != 4 and host not in off and (here or host not in said_up):
            cloud.world.holds.add((server, host, volume))
    for host, (told, runs, _) in zip(HOSTS, state.hosts, strict=True):
        if not runs:
            cloud.kill_host(host, noticed=told == "down")
    if not state.backend_up:
        cloud.kill_backend()
    cloud.nova.detach_lag = None if state.hung else 0.0


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SETTLES", 0.0)


def run(cloud: FakeCloud, volume: str, state: State, mode: Mode, **options: object) -> Item:
    """One run, which gives the volume exactly one item."""
    fenced = [h for h, (_, _, is_fenced) in zip(HOSTS, state.hosts, strict=True) if is_fenced]
    (item,) = Driver(
        cloud, mode=mode, databases=state.databases, fenced=fenced, deadline=0.0, workers=1, **options  # type: ignore[arg-type]
    ).named(volume)
    return item


def used(cloud: FakeCloud, volume: str) -> set[tuple[str, ...]]:
    """Who has, or may have, the disk: live mappings of live servers, and guests."""
    return {("mapped by", m.server_id) for m in cloud.world.mappings_of(volume)} | {
        ("held on", host, server) for server, host, held in cloud.world.holds if held == volume
    }


EXAMPLES = 150
ANY = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])


@ANY
@given(state=STATES, mode=st.sampled_from([Mode.APPLY, Mode.COMMIT]))
def test_no_volume_is_freed_while_anybody_may_use_it(state: State, mode: Mode) -> None:
    cloud, volume = built(state)
    row = cloud.world.volumes[volume]
    item = run(cloud, volume, state, mode)
    free = row.status == "available" and not row.deleted
    if free and (state.status != "available" or item.outcome is Outcome.REPAIRED):
        assert used(cloud, volume) == set(), item
    if row.deleted:
        assert used(cloud, volume) == set(), item


@ANY
@given(state=STATES, mode=st.sampled_from([Mode.APPLY, Mode.COMMIT]))
def test_no_boot_disk_is_cut(state: State, mode: Mode) -> None:
    cloud, volume = built(state)
    roots = [m for m in cloud.world.mappings_of(volume) if m.boot_index == 0]
    kept = [a for a in cloud.world.volumes[volume].live if a.id in {m.attachment_id for m in roots}]
    item = run(cloud, volume, state, mode)
    assert not any(m.deleted for m in roots), item
    assert not any(a.deleted for a in kept), item


@ANY
@given(state=STATES)
def test_a_dry_run_changes_nothing(state: State) -> None:
    cloud, volume = built(state)
    with unchanged(cloud):
        run(cloud, volume, state, Mode.DRY_RUN)


@ANY
@given(state=STATES, mode=st.sampled_from([Mode.APPLY, Mode.COMMIT]))
def test_what_was_repaired_is_healthy(state: State, mode: Mode) -> None:
    cloud, volume = built(state)
    before = cloud.world.picture()
    item = run(cloud, volume, state, mode)
    if item.outcome is Outcome.REPAIRED and not cloud.world.volumes[volume].deleted:
        again = run(cloud, volume, state, mode, older_than=timedelta(0))
        assert again.outcome is Outcome.HEALTHY, (item, again)
    if item.outcome is Outcome.HEALTHY:
        assert cloud.world.picture() == before


@ANY
@given(state=STATES)
def test_what_is_called_healthy_is_not_on_its_way_anywhere(state: State) -> None:
    cloud, volume = built(state)
    item = run(cloud, volume, state, Mode.COMMIT)
    if item.outcome is not Outcome.HEALTHY:
        return
    row = cloud.world.volumes[volume]
    servers = [cloud.world.servers[m.server_id] for m in cloud.world.mappings_of(volume)]
    reserved = any(server.vm_state == "shelved_offloaded" for server in servers)
    assert row.status in ("available", "in-use", "error") or reserved, item
    if row.status == "available" and not reserved:
        assert not row.live
        assert used(cloud, volume) == set(), item
