"""The API steps that drain a host: it takes no more, and each server goes the way that it can."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from opsfix.drains import CONFIRM, WAIT
from opsfix.errors import CloudRefused
from opsfix.guards import Facts
from opsfix.ports import Cloud, Moves
from opsfix.resources import Server
from opsfix.steps import Call, Course, Step, wait_for

#: What nova notes beside the service.
REASON = "opsfix: the host is being drained"
_SEND: dict[str, Callable[[Moves, str], None]] = {
    "live-migrate": lambda moves, server: moves.live_migrate(server),
    "cold-migrate": lambda moves, server: moves.migrate(server),
    "evacuate": lambda moves, server: moves.evacuate(server),
}


class CloseCompute(Step):
    """Disable the nova-compute, so that the scheduler sends nothing there."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        service, host = facts["compute.service"], facts["compute.id"]
        yield Call(
            f"nova: disable nova-compute on {host}", lambda cloud, _: cloud.hosts.disable_compute(service, REASON),
            {"enable_compute": {"service": service, "host": host}},
        )


class MoveServer(Step):
    """Send the server away, and wait for the real end: another host, no task, the state that it had, no move left over."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        server, way = facts["server.id"], facts["server.way"]
        if way in _SEND:
            disk = " (its root disk is made anew from its image unless the hosts share it)"
            note = disk if way == "evacuate" and facts["server.local_disk"] else ""
            yield Call(f"nova: {way} server {server} from {facts['server.from']}{note}", _moving(facts))
        if way == WAIT:
            what = f"nova: wait until server {server} is off {facts['server.from']}"
            yield Call(what, lambda cloud, course: _await(cloud, facts, course), {})
        if way in ("cold-migrate", CONFIRM, WAIT):
            yield Call(f"nova: confirm that server {server} has left {facts['server.from']}", _confirming(facts))


def _now(cloud: Cloud, facts: Facts) -> Server:
    server = cloud.server(facts["server.id"])
    if server is None:
        raise CloudRefused(404, "it was deleted meanwhile")
    return server


def _moving(facts: Facts) -> Callable[[Cloud, Course], None]:
    def send(cloud: Cloud, course: Course) -> None:
        now = _now(cloud, facts)
        if (now.host, now.vm_state, now.task_state) != (facts["server.host"], facts["server.vm_state"], facts["server.task_state"]):
            raise CloudRefused(0, "it is no longer as it was seen: somebody else is at work on it")
        _SEND[facts["server.way"]](cloud.moves, facts["server.id"])
        _await(cloud, facts, course)

    return send


def _await(cloud: Cloud, facts: Facts, course: Course) -> None:
    """Until nova has ended it, well or not. Raises CloudRefused with nova's own words where it is where it was."""
    seen: list[Server] = []

    def ended() -> bool:
        seen.append(_now(cloud, facts))
        return seen[-1].task_state is None and not _underway(cloud, facts)

    wait_for(ended, course, "nova accepted, and is still at work on it: run the command again to wait on")
    server = seen[-1]
    if server.host == facts["server.from"] or server.vm_state == "error":
        raise CloudRefused(0, f"it is {server.vm_state} on {server.host}: {_words(cloud, server)}")
    course.said = f"it is {server.vm_state} on {server.host}"


def _words(cloud: Cloud, server: Server) -> str:
    """Why it did not go: nova's own words, else what its newest migration came to."""
    last = max(cloud.migrations(server.id), key=lambda m: m.id, default=None)
    ended = f"its {last.type} to {last.dest} ended as {last.status}" if last else "it was never begun"
    return cloud.moves.words(server.id) or server.fault or f"{ended}, and nova tells no more: see the log of nova-compute there"


def _underway(cloud: Cloud, facts: Facts) -> bool:
    own = [m for m in cloud.migrations(facts["server.id"]) if m.source == facts["server.from"]]
    return any(m.in_progress and m.status != "finished" for m in own)


def _confirming(facts: Facts) -> Callable[[Cloud, Course], None]:
    def confirm(cloud: Cloud, course: Course) -> None:
        if _now(cloud, facts).vm_state == "resized":
            cloud.moves.confirm(facts["server.id"])
        wait_for(lambda: _left(cloud, facts), course, "nova accepted, and its old host has not let go of it yet")

    return confirm


def _left(cloud: Cloud, facts: Facts) -> bool:
    server = _now(cloud, facts)
    own = [m for m in cloud.migrations(server.id) if m.source == facts["server.from"]]
    return server.task_state is None and server.vm_state != "resized" and not any(m.in_progress for m in own)
