"""The API steps that bring servers back: reset, restore, and the ladder of stop, start and hard reboot."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from time import monotonic

from opsfix import inverses
from opsfix.errors import CloudRefused
from opsfix.guards import Facts
from opsfix.model import Result
from opsfix.ports import Cloud, Power
from opsfix.resources import Server
from opsfix.server_states import power, runs
from opsfix.steps import Call, Course, Step, wait_for

#: Seconds that nova-compute gives a guest to shut down before it switches it off (shutdown_timeout).
SHUTDOWN = 60.0
#: nova/compute/task_states.py, ALLOW_REBOOT as it has been since Yoga, without what a suspended or paused guest is in.
REBOOTING = (
    None, "rebooting", "reboot_pending", "reboot_started", "rebooting_hard", "reboot_pending_hard", "reboot_started_hard",
)


@dataclass(frozen=True)
class ResetServer(Step):
    """``os-resetState``: nova asks nobody for leave and leaves every service as it is, so the server is looked at again
    right before."""

    state: str

    def calls(self, facts: Facts) -> Iterator[Call]:
        server_id = facts["server.id"]

        def reset(cloud: Cloud, course: Course) -> None:
            seen = (facts["server.vm_state"], facts["server.task_state"], facts["server.changed_at"])
            now = _now(cloud, server_id)
            if (now.vm_state, now.task_state, now.updated_at) != seen:
                raise CloudRefused(0, f"it is no longer {_words(facts)}: somebody is at work on it")
            cloud.reset_server(server_id, self.state)
            course.left = replace(now, vm_state=self.state, task_state=None)

        failed = (facts["server.vm_state"], facts["server.task_state"]) == ("error", None)  # no call gives a task back
        back = inverses.reset_server(server_id, "error", self.state) if failed else None
        yield Call(f"nova: reset server {server_id} to {self.state}", reset, back)


def _words(facts: Facts) -> str:
    return " ".join(filter(None, (facts["server.vm_state"], facts["server.task_state"])))


def _now(cloud: Cloud, server_id: str) -> Server:
    server = cloud.server(server_id)
    if server is None:
        raise CloudRefused(404, "it was deleted meanwhile")
    return server


class RestoreServer(Step):
    """Take the server back, and wait until its host has."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        server_id = facts["server.id"]

        def restore(cloud: Cloud, course: Course) -> None:
            cloud.power.restore(server_id)
            _await(cloud, server_id, course, "restored")

        yield Call(f"nova: restore server {server_id}", restore)


@dataclass(frozen=True)
class Rung:
    """One of the ladder's calls, and the states from which nova takes it (nova/compute/api.py, check_instance_state).

    ``takes`` is how many seconds it may take beyond the run's own patience. ``finishes``: the call that must follow even
    when the run is interrupted, because it undoes what the one before did.
    """

    what: str
    send: Callable[[Power, str], None]
    vm_states: tuple[str, ...]
    task_states: tuple[str | None, ...] = (None,)
    takes: float = 0.0
    leaves_off: bool = False
    finishes: bool = False

    def allows(self, server: Server) -> bool:
        """Whether nova takes the call in this state."""
        return server.vm_state in self.vm_states and server.task_state in self.task_states


LADDER = (
    Rung("stop", lambda p, i: p.stop(i), ("active", "error"), takes=SHUTDOWN, leaves_off=True),
    Rung("start", lambda p, i: p.start(i), ("stopped",), finishes=True),
    Rung("hard-reboot", lambda p, i: p.reboot_hard(i), ("active", "stopped", "error"), REBOOTING),
)


class Climb(Step):
    """Stop and start, then a hard reboot, up to the first after which the guest runs. Each is left out where nova would
    not take it; one that fails is followed by the next."""

    independent = True

    def calls(self, facts: Facts) -> Iterator[Call]:
        server_id, ended = facts["server.id"], _Ended()
        for rung in LADDER:
            yield Call(f"nova: {rung.what} server {server_id}, unless its guest runs", _climb(rung, server_id, ended))


@dataclass
class _Ended:
    """How the last rung left the server a moment ago. ``runs``: it was started, for which nova-compute has just asked the
    hypervisor (nova/compute/manager.py, start_instance)."""

    server: Server | None = None
    runs: bool = False


def _climb(rung: Rung, server_id: str, ended: _Ended) -> Callable[[Cloud, Course], Result | None]:
    def send(cloud: Cloud, course: Course) -> Result | None:
        server = ended.server or course.left or _now(cloud, server_id)
        ended.server = course.left = None
        begun = rung.finishes and "stopped" in course.made
        if course.stop.is_set() and not begun:
            return _left_out(course, "interrupted")
        if ended.runs or not rung.allows(server) or runs(cloud, server):
            return _left_out(course, f"it is {_state(server)}")
        rung.send(cloud.power, server_id)
        if rung.leaves_off:  # from here on the guest is off, and an interrupt must not leave it so
            course.made["stopped"] = server_id
        ended.server = after = _await(cloud, server_id, _patient(course, rung), f"{rung.what} was accepted")
        ended.runs = rung.finishes and (after.vm_state, after.power_state) == ("active", 1)
        course.said = f"then it was {_state(after)}" + (f": {after.fault}" if after.fault else "")
        return None

    return send


def _patient(course: Course, rung: Rung) -> Course:
    stop = threading.Event() if rung.leaves_off else course.stop
    return replace(course, deadline=monotonic() + course.patience + rung.takes, stop=stop)


def _left_out(course: Course, why: str) -> Result:
    course.said = why
    return Result.SKIPPED


def _state(server: Server) -> str:
    return " ".join(filter(None, (server.vm_state, server.task_state))) + f", its guest {power(server)}"


def _await(cloud: Cloud, server_id: str, course: Course, what: str) -> Server:
    """Until nova has ended the task, well or not: it sets the task before it answers. Raises CloudUnknown."""
    seen: list[Server] = []

    def ended() -> bool:
        seen.append(_now(cloud, server_id))
        return seen[-1].task_state is None

    wait_for(ended, course, f"{what}, and nova is still at work on it")
    return seen[-1]
