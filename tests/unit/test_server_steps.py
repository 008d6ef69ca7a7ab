"""The steps of a purge against a nova, a neutron and a placement that answer as the real ones do; and which servers a
list of hosts means."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, cast

import pytest

from opsfix.engine.act import act
from opsfix.errors import CloudRefused, CloudUnknown, UsageError
from opsfix.finders import host_names, servers_on
from opsfix.model import Result
from opsfix.ports import Cloud
from opsfix.repair import Repair
from opsfix.resources import Allocation, Hypervisor, Port, Provider, Server, Service
from opsfix.scene import Scene
from opsfix.server_steps import DeleteServer, EndStuckDeletion, FreeAllocation, FreePorts, UnlockServer
from opsfix.steps import Course, Step
from tests.fakes.owners import PortRows

ID = "5e4e4000-0000-4000-8000-00000000000a"


@dataclass
class Nova(PortRows):
    """As much of a cloud as a purge touches. ``deletes`` is what a deletion does to a server, given whether it is forced."""

    found: dict[str, Server] = field(default_factory=dict)
    deletes: Callable[[Nova, str, bool], None] = lambda nova, server, _: nova.found.pop(server) and None
    listed: dict[str, Port] = field(default_factory=dict)
    held: dict[str, Allocation] = field(default_factory=dict)
    hypervisor_names: tuple[str, ...] = ("gpu-1", "gpu-10", "node-uuid")
    services: tuple[tuple[str, str], ...] = (("gpu-1", "down"), ("gpu-10", "up"), ("ironic", "up"))

    @property
    def network(self) -> Nova:
        return self

    placement = hosts = network

    def server(self, server_id: str) -> Server | None:
        return self.found.get(server_id)

    def servers(self, *, host: str | None = None, node: str | None = None) -> Iterator[Server]:
        return (s for s in self.found.values() if host in (None, s.host) and node in (None, s.node))

    def compute_services(self) -> list[Service]:
        return [Service("nova-compute", host, state) for host, state in self.services]

    def volume_services(self) -> list[Service]:
        return []

    def hypervisors(self) -> Iterator[Hypervisor]:
        return (Hypervisor(name, name, name) for name in self.hypervisor_names)

    def change(self, server_id: str, **values: Any) -> None:
        self.found[server_id] = replace(self.found[server_id], **values)

    def reset_server(self, server_id: str, state: str) -> None:
        self.change(server_id, vm_state=state, task_state=None)

    def unlock_server(self, server_id: str) -> None:
        self.change(server_id, locked=False)

    def delete_server(self, server_id: str, *, force: bool) -> None:
        if server_id not in self.found:
            raise CloudRefused(404, "could not be found")
        self.deletes(self, server_id, force)

    def providers(self, *, name: str) -> list[Provider]:
        return [Provider("rp", "gpu-1", 1)] if name.lower() == "gpu-1" else []

    def consumers(self, _: str) -> dict[str, dict[str, int]]:
        return {consumer: {"VCPU": 1} for consumer in self.held}

    def allocation(self, consumer: str) -> Allocation | None:
        return self.held.get(consumer)

    def delete_allocation(self, consumer: str) -> None:
        if self.held.pop(consumer, None) is None:
            raise CloudRefused(404, "no allocations")


def server(**values: Any) -> Server:
    """A server on gpu-1."""
    return Server(**{"id": ID, "name": "web", "project_id": "p", "vm_state": "active", "host": "gpu-1", "node": "gpu-1"} | values)


def ran(nova: Nova, *steps: Step, **facts: Any) -> tuple[list[Result], Result]:
    """Send the steps with the facts of the server as it is now."""
    seen = nova.found.get(ID, server())
    known = {
        "server.id": ID, "server.locked": seen.locked, "server.task_state": seen.task_state, "server.host": seen.host,
        "server.host_state": "up", "server.vm_state": seen.vm_state, "ports.made": (), "ports.users": (),
    }
    repair = Repair("s", "m", (), api=steps)
    reports, ended = act(repair, known | facts, cast(Cloud, nova), Course(time.monotonic() + 0.4), lambda *_, **__: None)
    return [r.result for r in reports], ended


ALL = (UnlockServer(), EndStuckDeletion(), DeleteServer())


def test_a_server_is_deleted_and_gone() -> None:
    nova = Nova({ID: server()})
    assert ran(nova, *ALL) == ([Result.DONE], Result.DONE)
    assert not nova.found


def test_a_lock_and_a_stuck_deletion_are_ended_first() -> None:
    nova = Nova({ID: server(locked=True, task_state="deleting")})

    def ignoring(nova: Nova, server_id: str, _: bool) -> None:
        if nova.found[server_id].task_state is None and not nova.found[server_id].locked:
            del nova.found[server_id]

    nova.deletes = ignoring
    assert ran(nova, *ALL) == ([Result.DONE] * 3, Result.DONE)
    assert not nova.found


def test_a_stuck_deletion_on_a_dead_host_needs_no_reset() -> None:
    nova = Nova({ID: server(task_state="deleting")})
    assert ran(nova, *ALL, **{"server.host_state": "down"}) == ([Result.DONE], Result.DONE)


def test_a_server_that_somebody_works_on_meanwhile_is_not_reset() -> None:
    nova = Nova({ID: server(task_state="deleting")})
    assert ran(nova, EndStuckDeletion(), **{"server.host": "gpu-2"})[1] is Result.REFUSED
    assert nova.found[ID].task_state == "deleting"


def test_a_server_that_went_meanwhile_is_no_fault() -> None:
    assert ran(Nova(), EndStuckDeletion(), **{"server.task_state": "deleting"})[0] == [Result.SKIPPED]
    assert ran(Nova(), DeleteServer())[1] is Result.DONE


@pytest.mark.parametrize("first", ["kept", "refused"])
def test_what_nova_keeps_or_refuses_goes_by_force(first: str) -> None:
    def deletes(nova: Nova, server_id: str, force: bool) -> None:
        if force:
            del nova.found[server_id]
        elif first == "refused":
            raise CloudRefused(409, "Cannot 'delete' instance while it is in vm_state paused")
        else:
            nova.change(server_id, vm_state="soft-delete")

    nova = Nova({ID: server()}, deletes)
    assert ran(nova, DeleteServer())[1] is Result.DONE
    assert not nova.found


def test_a_deletion_without_effect_is_a_refusal_and_one_that_hangs_is_unknown() -> None:
    assert ran(Nova({ID: server()}, lambda *_: None), DeleteServer())[1] is Result.REFUSED
    hanging = Nova({ID: server()}, lambda nova, s, _: nova.change(s, task_state="deleting"))
    assert ran(hanging, DeleteServer())[1] is Result.UNKNOWN


@pytest.mark.parametrize(("error", "result"), [
    (CloudRefused(403, "not you"), Result.REFUSED), (CloudUnknown("timed out"), Result.UNKNOWN),
])
def test_another_answer_is_what_it_is(error: Exception, result: Result) -> None:
    def fails(*_: Any) -> None:
        raise error

    assert ran(Nova({ID: server()}, fails), DeleteServer())[1] is result


def port(name: str, device: str = ID, host: str | None = "gpu-1") -> Port:
    """A port of a server."""
    return Port(name, "", "p", device, "compute:nova", "n", "DOWN", host)


def test_ports_are_deleted_or_unbound_and_only_those_of_the_server() -> None:
    nova = Nova(listed={"made": port("made"), "users": port("users"), "moved": port("moved", "another server")})
    results, _ = ran(nova, FreePorts(), **{"ports.made": ("made", "moved", "none"), "ports.users": ("users",)})
    assert results == [Result.DONE, Result.SKIPPED, Result.SKIPPED, Result.DONE]
    assert set(nova.listed) == {"users", "moved"}
    assert nova.listed["users"].device_id == ""
    assert nova.listed["moved"].device_id == "another server"


def test_an_allocation_is_given_back_once() -> None:
    nova = Nova(held={ID: Allocation(ID, {})})
    assert ran(nova, FreeAllocation())[0] == [Result.DONE]
    assert ran(nova, FreeAllocation())[0] == [Result.SKIPPED]


@pytest.mark.parametrize(("text", "names"), [
    ("gpu-1\n", ("gpu-1",)), ("# a\n\n gpu-1 # b\r\ngpu-2\ngpu-1\n", ("gpu-1", "gpu-2")), ("gpu-1", ("gpu-1",)),
])
def test_a_list_of_hosts(text: str, names: tuple[str, ...]) -> None:
    assert host_names(io.StringIO(text)) == names


@pytest.mark.parametrize("text", ["", "\n", "# gpu-1\n"])
def test_an_empty_list_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="names none"):
        host_names(io.StringIO(text))


def test_a_list_that_is_no_text_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        host_names(io.TextIOWrapper(io.BytesIO(b"\xff\xfe\x00"), encoding="utf-8"))


def on(nova: Nova, *hosts: str) -> set[str]:
    """The servers of a list."""
    return servers_on(Scene(cast(Cloud, nova), None, timedelta(0)), hosts)


def test_servers_of_a_host_and_of_a_hypervisor_and_of_no_other() -> None:
    nova = Nova({
        "a": server(id="a"), "b": server(id="b", host="gpu-10", node="gpu-10"), "c": server(id="c", host="ironic", node="node-uuid"),
        "d": server(id="d", host="ironic", node="other"), "e": server(id="e", host="GPU-1", node="GPU-1"),
    })
    assert on(nova, "gpu-1") == {"a"}
    assert on(nova, "node-uuid") == {"c"}
    assert on(nova, "ironic", "gpu-1") == {"a", "c", "d"}


def test_a_host_that_only_servers_still_name_is_known_and_another_is_not() -> None:
    nova = Nova({"a": server(id="a", host="removed", node="removed")})
    assert on(nova, "removed") == {"a"}
    for name in ("gpu-", "GPU-1", "gpu-1*", "nowhere"):
        with pytest.raises(UsageError, match="nothing was looked at"):
            on(nova, "gpu-1", name)


def test_what_is_left_there_of_servers_that_are_gone_is_taken_and_no_server_that_lives_elsewhere() -> None:
    nova = Nova(
        {"moved": server(id="moved", host="gpu-10", node="gpu-10")},
        listed={"p": port("p", "gone"), "q": port("q", "moved"), "r": port("r", "elsewhere", "gpu-10")},
        held={
            "counted": Allocation("counted", {}, type="INSTANCE"), "moved": Allocation("moved", {}, type="INSTANCE"),
            "migration": Allocation("migration", {}, type="MIGRATION"), "unknown": Allocation("unknown", {}),
        },
    )
    assert on(nova, "gpu-1") == {"gone", "counted"}


def test_a_cell_that_is_down_stops_the_search() -> None:
    with pytest.raises(CloudUnknown, match="cell"):
        on(Nova(services=(("gpu-1", "unknown"),)), "gpu-1")
