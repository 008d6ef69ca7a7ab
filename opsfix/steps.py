"""The API steps that repairs are made of. Each is one change, or a wait for what a change set in motion."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opsfix.errors import CloudRefused, CloudUnknown
from opsfix.guards import Facts
from opsfix.model import Result
from opsfix.ports import Cloud
from opsfix.resources import Mapping as Mapped


@dataclass
class Course:
    """What the steps of one item pass on to each other, and until when they may wait (seconds, monotonic clock)
    unless ``stop`` is set; ``left`` is a thing as a step has just left it; ``sent`` once any change was sent.
    ``patience`` (seconds) is what a step may take that has others before it; ``said`` is what a call tells of itself."""

    deadline: float
    stop: threading.Event = field(default_factory=threading.Event)
    made: dict[str, str] = field(default_factory=dict)
    left: Any = None
    sent: bool = False
    patience: float = 60.0
    said: str = ""


#: Sends a change. SKIPPED is for one of which there turned out to be nothing to change.
Send = Callable[[Cloud, Course], Result | None]


@dataclass(frozen=True)
class Call:
    """One change about to be sent. ``inverse`` names what would put it back (see inverses), None where nothing can; an
    empty one is for what needs no undo: a wait, or a step that another one of the same item takes back."""

    what: str
    send: Send
    inverse: Mapping[str, Any] | None = None


class Step:
    """Base of all steps. The calls of an ``independent`` step do not need each other: all are tried."""

    independent = False

    def calls(self, facts: Facts) -> Iterator[Call]:
        """The calls that this step stands for, given the facts."""
        raise NotImplementedError

    def back(self, facts: Facts, course: Course) -> Iterator[Call]:
        """What takes back what the step made when it or a later one is refused; nothing for most."""
        return iter(())


def unless_gone(send: Callable[[Cloud], None]) -> Send:
    """What is already gone needs no deletion."""

    def sent(cloud: Cloud, _: Course) -> Result | None:
        try:
            send(cloud)
        except CloudRefused as e:
            if e.status != 404:
                raise
            return Result.SKIPPED
        return None

    return sent


def watch(seconds: float, period: float, what: str) -> Call:
    """Change nothing for so many seconds, the rest of ``period``; the look after it tells whether anything moved."""

    def wait(_: Cloud, course: Course) -> Result:
        if course.stop.wait(seconds):
            raise CloudUnknown("interrupted while it was watched")
        return Result.DONE

    return Call(f"watch for {period:.0f} s that {what}", wait, {})


@dataclass(frozen=True)
class ResetVolume(Step):
    """Set status and attach_status together (one alone leaves cinder inconsistent).

    cinder asks nobody for leave and drops every attachment, so the volume is looked at again right before.
    """

    status: str
    attach_status: str

    def calls(self, facts: Facts) -> Iterator[Call]:
        volume = facts["volume.id"]

        def reset(cloud: Cloud, _: Course) -> None:
            _as_seen(cloud, facts, facts["volume.status"])
            cloud.reset_volume(volume, self.status, self.attach_status)

        yield Call(
            f"cinder: reset volume {volume} to {self.status}/{self.attach_status}",
            reset,
            {"reset_volume": {
                "volume": volume, "status": facts["volume.status"], "attach_status": self.attach_status, "left": self.status,
            }},
        )


class RollDetaching(Step):
    """detaching -> in-use, as cinder itself does after a failed detach."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        volume = facts["volume.id"]
        yield Call(f"cinder: roll volume {volume} back from detaching", lambda cloud, _: cloud.roll_detaching(volume))


#: nova/exception.py (ServiceUnavailable), which nova/compute/api.py (check_instance_host) raises as a 409.
LATE = "Service is unavailable at this time"


class DetachThroughNova(Step):
    """Ask nova to detach and wait until its mapping is gone. A host that was seen alive, and whose heartbeat is late just
    now, is waited for."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        server, volume = facts["server.id"], facts["volume.id"]

        def detach(cloud: Cloud, course: Course) -> None:
            try:
                cloud.detach_volume(server, volume)
            except CloudRefused as e:
                if facts.get("server.host_state") != "up" or e.status != 409 or LATE not in str(e):
                    raise
                held = _mapped(cloud, server, volume)
                if not _reports(cloud, facts["server.host"], course) or _mapped(cloud, server, volume) != held:
                    raise  # still late, or no longer the attachment that was meant
                cloud.detach_volume(server, volume)
            wait_for(lambda: not _mapped(cloud, server, volume), course, f"nova accepted, but server {server} still maps it")

        yield Call(f"nova: detach volume {volume} from server {server}", detach)


def _reports(cloud: Cloud, host: str, course: Course) -> bool:
    """Whether nova calls the host's nova-compute up before the deadline."""
    try:
        wait_for(lambda: any((s.binary, s.host, s.state) == ("nova-compute", host, "up") for s in cloud.compute_services()), course, "")
    except CloudUnknown:
        return False
    return True


def _mapped(cloud: Cloud, server_id: str, volume_id: str) -> list[Mapped]:
    """The server's mappings of the volume."""
    server = cloud.server(server_id)
    return [] if server is None else [m for m in cloud.mappings(server) if m.volume_id == volume_id]


def _holds(condition: Callable[[], bool], otherwise: str) -> bool:
    """The change was accepted: a refusal to tell how it goes is no refusal of the change."""
    try:
        return condition()
    except CloudRefused as e:
        raise CloudUnknown(f"{otherwise}: {e}") from e


def _as_seen(cloud: Cloud, facts: Facts, status: str) -> None:
    """Refuse when the volume is no longer as it was when it was judged: what follows asks no service for leave."""
    volume = cloud.volume(facts["volume.id"])
    attachments = {a.id for a in cloud.attachments(volume_id=facts["volume.id"])}
    if volume is None or volume.status != status or attachments != set(facts["attachments.ids"]):
        raise CloudRefused(0, f"it is no longer {status} with the same attachments: somebody else is at work on it")


def wait_for(condition: Callable[[], bool], course: Course, otherwise: str) -> None:
    """Poll until the condition holds; raises CloudUnknown, which says ``otherwise``, at the course's deadline."""
    pause = 0.1
    while not _holds(condition, otherwise):
        if time.monotonic() + pause > course.deadline:
            raise CloudUnknown(otherwise)
        if course.stop.wait(pause):
            raise CloudUnknown(f"interrupted: {otherwise}")
        pause = min(pause * 1.6, 2.0)


@dataclass(frozen=True)
class DeleteStaleAttachments(Step):
    """Delete each attachment of a group of the facts, one by one: by default those that no server uses."""

    group: str = "stale"
    independent = True

    def calls(self, facts: Facts) -> Iterator[Call]:
        for attachment in facts[f"attachments.{self.group}_ids"]:
            server, status = facts[f"attachments.{self.group}_uses"][attachment]
            yield Call(f"cinder: delete attachment {attachment}", deletion(attachment), {"create_attachment": {
                "volume": facts["volume.id"], "server": server, "attached": status == "attached",
            }} if server else None)


def deletion(attachment: str) -> Send:
    """Of a volume attachment, in cinder's records only."""
    return unless_gone(lambda cloud: cloud.delete_attachment(attachment))


@dataclass(frozen=True)
class CompleteAttachment(Step):
    """Tell cinder that an attachment is attached, whatever it was: volume in-use, so that nova can detach."""

    fact: str = "attachments.mapped_id"

    def calls(self, facts: Facts) -> Iterator[Call]:
        attachment = facts[self.fact]
        yield Call(
            f"cinder: complete attachment {attachment}", lambda cloud, _: cloud.complete_attachment(attachment)
        )


class HoldVolume(Step):
    """Give the volume a new attachment for the server that maps it: nobody else can take it, and nova can detach."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        volume, server = facts["volume.id"], facts["server.id"]

        def create(cloud: Cloud, course: Course) -> None:
            course.made["attachment"] = cloud.create_attachment(volume, server)

        yield Call(f"cinder: reserve volume {volume} for server {server}", create, {"delete_attachment": {}})
        yield Call(
            f"cinder: mark volume {volume} in-use",
            lambda cloud, course: cloud.complete_attachment(course.made["attachment"]), {},
        )

    def back(self, facts: Facts, course: Course) -> Iterator[Call]:
        if "attachment" in course.made:
            yield from ReleaseVolume().calls(facts)


class ReleaseVolume(Step):
    """Delete the attachment that HoldVolume made."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        yield Call(
            f"cinder: release volume {facts['volume.id']}",
            lambda cloud, course: deletion(course.made["attachment"])(cloud, course), {},
        )


class CleanUpWorkers(Step):
    """cinder's own clean-up of work that a dead service left; its 400 says that there is none."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        volume = facts["volume.id"]

        def clean(cloud: Cloud, _: Course) -> Result | None:
            try:
                cloud.cleanup_workers(volume)
            except CloudRefused as e:
                if e.status != 400:
                    raise
                return Result.SKIPPED
            return None

        yield Call(f"cinder: clean up workers of volume {volume}", clean)


@dataclass(frozen=True)
class DeleteVolume(Step):
    """Finish a deletion that its owner asked for, and wait until the volume is gone or has failed again.

    ``status`` is what an earlier step brought the volume to; None where it is as it was found.
    """

    force: bool = False
    status: str | None = None

    def calls(self, facts: Facts) -> Iterator[Call]:
        volume = facts["volume.id"]

        def delete(cloud: Cloud, course: Course) -> None:
            _as_seen(cloud, facts, self.status or facts["volume.status"])
            cloud.delete_volume(volume, force=self.force)
            wait_for(lambda: _settled(cloud, volume), course, "cinder accepted, but the volume is still deleting")

        yield Call(f"cinder: {'force-' if self.force else ''}delete volume {volume}", delete)


def _settled(cloud: Cloud, volume_id: str) -> bool:
    volume = cloud.volume(volume_id)
    return volume is None or volume.status != "deleting"
