"""What cinder and nova do, case by case; run against the fake by tests/unit and against real services by
tests/functional, through the same calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.conformance.sides import Side, answer, settled, state, until


@dataclass(frozen=True)
class Case:
    """``observe`` builds a state, acts, and returns what it saw."""

    name: str
    observe: Callable[[Side], object]
    expected: object


CASES: list[Case] = []


def case(name: str, expected: object) -> Callable[[Callable[[Side], object]], Callable[[Side], object]]:
    """Register a case."""

    def register(observe: Callable[[Side], object]) -> Callable[[Side], object]:
        CASES.append(Case(name, observe, expected))
        return observe

    return register


# os-reset_status: before (status, attachments) -> request -> answer and state after


def _free(side: Side) -> str:
    return side.volume()


def _attached(side: Side) -> str:
    volume = side.volume()
    attachment = side.cloud.create_attachment(volume, side.stranger())
    side.cloud.complete_attachment(attachment)
    return volume


def _reserved(side: Side) -> str:
    volume = side.volume()
    side.cloud.create_attachment(volume, side.stranger())
    return volume


def _detaching(side: Side) -> str:
    volume = _attached(side)
    side.reset(volume, "detaching")
    return volume


def _detaching_bare(side: Side) -> str:
    volume = side.volume()
    side.reset(volume, "detaching", "attached")
    return volume


def _attaching(side: Side) -> str:
    volume = _reserved(side)
    side.reset(volume, "attaching")
    return volume


RESETS = (
    ("detaching without attachment", _detaching_bare, ("available", "detached"), ("ok", "available -")),
    ("detaching", _detaching, ("available", "detached"), ("ok", "available -")),
    ("detaching", _detaching, ("available", None), ("ok", "available attached")),
    ("detaching", _detaching, ("in-use", None), ("ok", "in-use attached")),
    ("attaching", _attaching, ("available", None), ("ok", "available reserved")),
    ("in-use", _attached, (None, "detached"), ("ok", "available -")),
    ("in-use", _attached, ("error", "detached"), ("ok", "available -")),
    ("available", _free, ("in-use", None), (400, "available -")),
    ("available", _free, ("in-use", "attached"), (400, "available -")),
    ("available", _free, ("deleting", None), (400, "available -")),
    ("in-use", _attached, ("deleting", None), (400, "in-use attached")),
    ("available", _free, ("error_deleting", None), ("ok", "error_deleting -")),
    ("available", _free, ("detaching", None), ("ok", "detaching -")),
    ("available", _free, (None, "attached"), ("ok", "available -")),
    ("available", _free, ("available", "attaching"), (400, "available -")),
    ("reserved", _reserved, ("available", "detached"), ("ok", "available -")),
    ("reserved", _reserved, ("error", "detached"), ("ok", "available -")),
    ("available", _free, ("error", "detached"), ("ok", "error -")),
)


def _reset(build: Callable[[Side], str], status: str | None, attach_status: str | None) -> Callable[[Side], object]:
    def observe(side: Side) -> object:
        volume = build(side)
        return answer(lambda: side.reset(volume, status, attach_status)), state(side, volume)

    return observe


CASES += [
    Case(f"reset {name} to {asked[0]} and {asked[1]}", _reset(build, *asked), expected)
    for name, build, asked, expected in RESETS
]


@case("roll back a detaching volume", ("ok", "in-use attached"))
def _(side: Side) -> object:
    volume = _detaching(side)
    return answer(lambda: side.cloud.roll_detaching(volume)), state(side, volume)


@case("roll back a volume that is not detaching", ("ok", "reserved reserved"))
def _(side: Side) -> object:
    volume = _reserved(side)
    return answer(lambda: side.cloud.roll_detaching(volume)), state(side, volume)


@case("calls for a volume that does not exist", (404, 404, 404, 404, None))
def _(side: Side) -> object:
    gone = side.stranger()
    return (
        answer(lambda: side.cloud.reset_volume(gone, "available", "detached")),
        answer(lambda: side.cloud.roll_detaching(gone)),
        answer(lambda: side.cloud.create_attachment(gone, side.stranger())),
        answer(lambda: side.cloud.delete_volume(gone, force=True)),
        side.cloud.volume(gone),
    )


# attachments


@case("reserve a free volume", "reserved reserved")
def _(side: Side) -> object:
    return state(side, _reserved(side))


@case("reserve a volume that another server has", (400, "in-use attached"))
def _(side: Side) -> object:
    volume = _attached(side)
    other = side.server()
    return answer(lambda: side.cloud.create_attachment(volume, other)), state(side, volume)


@case("reserve a volume once more for the same server", ("ok", "in-use attached+reserved"))
def _(side: Side) -> object:
    volume = _attached(side)
    return answer(lambda: side.cloud.create_attachment(volume, side.stranger())), state(side, volume)


@case("reserve a multiattach volume that is in use", ("ok", "reserved attached+reserved"))
def _(side: Side) -> object:
    volume = side.volume(multiattach=True)
    side.cloud.complete_attachment(side.cloud.create_attachment(volume, side.stranger()))
    other = side.server()
    return answer(lambda: side.cloud.create_attachment(volume, other)), state(side, volume)


@case("reserve a volume in error", (400, "error -"))
def _(side: Side) -> object:
    volume = side.volume()
    side.reset(volume, "error", "detached")
    return answer(lambda: side.cloud.create_attachment(volume, side.stranger())), state(side, volume)


@case("complete an attachment whatever the volume's state", ("ok", "in-use attached"))
def _(side: Side) -> object:
    volume = side.volume()
    attachment = side.cloud.create_attachment(volume, side.stranger())
    side.reset(volume, "available")
    return answer(lambda: side.cloud.complete_attachment(attachment)), state(side, volume)


@case("complete and delete an attachment that does not exist", (404, 404))
def _(side: Side) -> object:
    gone = side.stranger()
    return answer(lambda: side.cloud.complete_attachment(gone)), answer(lambda: side.cloud.delete_attachment(gone))


@case("delete a reservation", ("ok", "available -"))
def _(side: Side) -> object:
    volume = side.volume()
    attachment = side.cloud.create_attachment(volume, side.stranger())
    return answer(lambda: side.cloud.delete_attachment(attachment)), state(side, volume)


@case("delete a connected attachment whose server nova does not know", ("attaching attaching", "ok", "available -"))
def _(side: Side) -> object:
    volume = side.volume()
    attachment = side.cloud.create_attachment(volume, side.stranger())
    side.connect(attachment)
    before = state(side, volume)
    return before, answer(lambda: side.cloud.delete_attachment(attachment)), state(side, volume)


@case("delete the attachment that nova uses", (409, "in-use attached"))
def _(side: Side) -> object:
    volume, server = side.volume(), side.server()
    attachment = side.attach(volume, server)
    return answer(lambda: side.cloud.delete_attachment(attachment)), state(side, volume)


@case("delete an attachment beside the one that nova uses", ("ok", "in-use attached"))
def _(side: Side) -> object:
    volume, server = side.volume(multiattach=True), side.server()
    side.attach(volume, server)
    second = side.cloud.create_attachment(volume, server)
    side.connect(second)
    return answer(lambda: side.cloud.delete_attachment(second)), state(side, volume)


@case("a reservation stays when the attached one goes", ("ok", "reserved reserved"))
def _(side: Side) -> object:
    volume = side.volume()
    first = side.cloud.create_attachment(volume, side.stranger())
    side.cloud.complete_attachment(first)
    side.cloud.create_attachment(volume, side.stranger())
    return answer(lambda: side.cloud.delete_attachment(first)), state(side, volume)


@case("an attached one stays when the reservation goes", ("ok", "in-use attached"))
def _(side: Side) -> object:
    volume = side.volume()
    side.cloud.complete_attachment(side.cloud.create_attachment(volume, side.stranger()))
    second = side.cloud.create_attachment(volume, side.stranger())
    side.reset(volume, "detaching")
    return answer(lambda: side.cloud.delete_attachment(second)), state(side, volume)


# deletion


@case("delete a volume that is attached", (400, 400, "in-use attached"))
def _(side: Side) -> object:
    volume = _attached(side)
    plain = answer(lambda: side.cloud.delete_volume(volume, force=False))
    return plain, answer(lambda: side.cloud.delete_volume(volume, force=True)), state(side, volume)


@case("delete a volume with a reservation", (400, "ok", None))
def _(side: Side) -> object:
    volume = _reserved(side)
    plain = answer(lambda: side.cloud.delete_volume(volume, force=False))
    return plain, answer(lambda: side.cloud.delete_volume(volume, force=True)), settled(side, volume, None)


@case("delete a free volume", ("ok", None))
def _(side: Side) -> object:
    volume = side.volume()
    return answer(lambda: side.cloud.delete_volume(volume, force=False)), settled(side, volume, None)


@case("force-delete a volume in error_deleting", (400, "ok", None))
def _(side: Side) -> object:
    volume = side.volume()
    side.reset(volume, "error_deleting")
    plain = answer(lambda: side.cloud.delete_volume(volume, force=False))
    return plain, answer(lambda: side.cloud.delete_volume(volume, force=True)), settled(side, volume, None)


@case("clean up the workers of a volume that nobody works on", (400, "available -"))
def _(side: Side) -> object:
    volume = side.volume()
    return answer(lambda: side.cloud.cleanup_workers(volume)), state(side, volume)


# nova


def _mapped(side: Side, volume: str, server: str) -> bool:
    found = side.cloud.server(server)
    return found is not None and any(m.volume_id == volume for m in side.cloud.mappings(found))


@case("detach through nova", ("ok", "available", "available -", False))
def _(side: Side) -> object:
    volume, server = side.volume(), side.server()
    side.attach(volume, server)
    told = answer(lambda: side.cloud.detach_volume(server, volume))
    return told, settled(side, volume, "available"), state(side, volume), _mapped(side, volume, server)


@case("detach what is not attached, or from nobody", (404, 404, "available -"))
def _(side: Side) -> object:
    volume, server = side.volume(), side.server()
    return (
        answer(lambda: side.cloud.detach_volume(server, volume)),
        answer(lambda: side.cloud.detach_volume(side.stranger(), volume)),
        state(side, volume),
    )


@case("detach a volume that cinder does not call in-use", (400, "available attached", True))
def _(side: Side) -> object:
    volume, server = side.volume(), side.server()
    side.attach(volume, server)
    side.reset(volume, "available")
    told = answer(lambda: side.cloud.detach_volume(server, volume))
    return told, state(side, volume), _mapped(side, volume, server)


@case("detach from a server in error", (409, "in-use attached", True))
def _(side: Side) -> object:
    volume, server = side.volume(), side.server()
    side.attach(volume, server)
    side.reset_server(server, "error")
    told = answer(lambda: side.cloud.detach_volume(server, volume))
    return told, state(side, volume), _mapped(side, volume, server)


@case(
    "hold a dangling volume, then detach it through nova",
    ("available -", "ok", "detaching attached", False, "ok", "available -"),
)
def _(side: Side) -> object:
    volume, server = side.volume(), side.server()
    side.attach(volume, server)
    side.reset(volume, "available", "detached")
    before = state(side, volume)
    held = side.cloud.create_attachment(volume, server)
    side.cloud.complete_attachment(held)
    told = answer(lambda: side.cloud.detach_volume(server, volume))
    until(lambda: not _mapped(side, volume, server))
    between = state(side, volume), _mapped(side, volume, server)
    return before, told, *between, answer(lambda: side.cloud.delete_attachment(held)), state(side, volume)


@case(
    "call a dangling volume attached, then detach it through nova",
    (400, "in-use -", "ok", "detaching -", False),
)
def _(side: Side) -> object:
    volume, server = side.volume(), side.server()
    side.attach(volume, server)
    side.reset(volume, "available", "detached")
    refused = answer(lambda: side.cloud.detach_volume(server, volume))
    side.reset(volume, "detaching", "attached")
    side.cloud.roll_detaching(volume)
    before = state(side, volume)
    told = answer(lambda: side.cloud.detach_volume(server, volume))
    until(lambda: not _mapped(side, volume, server))
    return refused, before, told, state(side, volume), _mapped(side, volume, server)


@case("the server is gone, and nova cleaned up", "available -")
def _(side: Side) -> object:
    volume, server = side.volume(), side.server()
    side.attach(volume, server)
    side.delete_server(server)
    settled(side, volume, "available")
    return state(side, volume)


@case("detach once the server was reset to active", ("ok", "available", False))
def _(side: Side) -> object:
    volume, server = side.volume(), side.server()
    side.attach(volume, server)
    side.reset_server(server, "error")
    side.reset_server(server, "active")
    told = answer(lambda: side.cloud.detach_volume(server, volume))
    return told, settled(side, volume, "available"), _mapped(side, volume, server)


@case("complete a stale attachment so that nova can detach a dangling volume", ("ok", "detaching attached", False))
def _(side: Side) -> object:
    """The hold of an interrupted run, or any other attachment, does as well as a new one."""
    volume, server = side.volume(), side.server()
    side.attach(volume, server)
    side.reset(volume, "available", "detached")
    other = side.cloud.create_attachment(volume, side.stranger())
    side.cloud.complete_attachment(other)
    side.reset(volume, "detaching")
    side.cloud.complete_attachment(other)
    told = answer(lambda: side.cloud.detach_volume(server, volume))
    until(lambda: not _mapped(side, volume, server))
    return told, state(side, volume), _mapped(side, volume, server)
