"""What puts an API step back: a journal keeps each as its name and arguments, this makes it a call again.

Every call first looks whether the thing is still as the run left it, and carries its own inverse, so that an undo can
itself be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from typing import Any

from opsfix.errors import CloudRefused
from opsfix.ports import Cloud
from opsfix.resources import PortForwarding
from opsfix.steps import Call, Course, deletion, unless_gone

Inverse = Mapping[str, Mapping[str, Any]]
#: A step that changes nothing, or that another step of the same item takes back.
NOTHING: Inverse = {}


def reset_server(server: str, state: str, left: str) -> Inverse:
    """``left`` is the vm_state that the step brought about."""
    return {"reset_server": {"server": server, "state": state, "left": left}}


def create_attachment(volume: str, server: str, *, attached: bool) -> Inverse:
    """A deleted attachment returns under a new id, without its connector."""
    return {"create_attachment": {"volume": volume, "server": server, "attached": attached}}


def call(inverse: Inverse, made: Mapping[str, str]) -> Call | None:
    """The call for a kept inverse, with what the step made; None for a name that this opsfix does not know.

    Raises TypeError or KeyError for arguments that it cannot mean.
    """
    name, arguments = next(iter(inverse.items()))
    make = _CALLS.get(name)
    return make(**arguments, **({"made": made} if name in _MADE else {})) if make else None


def _reset_volume(volume: str, status: str, attach_status: str, left: str) -> Call:
    """``left`` is the status that the step brought about; the attachments that cinder dropped with it do not return."""

    def send(cloud: Cloud, _: Course) -> None:
        found = cloud.volume(volume)
        if found is None:
            raise CloudRefused(404, f"volume {volume} is gone")
        if found.status != left:
            raise _moved(f"volume {volume}", left, found.status)
        cloud.reset_volume(volume, status, attach_status)

    back = {"reset_volume": {"volume": volume, "status": left, "attach_status": attach_status, "left": status}}
    return Call(f"cinder: reset volume {volume} to {status}/{attach_status}", send, back)


def _moved(what: str, left: object, now: object) -> CloudRefused:
    return CloudRefused(0, f"{what} is no longer as the run left it: left {left}, now {now}")


def _reset_server(server: str, state: str, left: str) -> Call:
    def send(cloud: Cloud, _: Course) -> None:
        found = cloud.server(server)
        if found is None:
            raise CloudRefused(404, f"server {server} is gone")
        if found.vm_state != left or found.task_state:
            raise _moved(f"server {server}", left, " ".join(filter(None, (found.vm_state, found.task_state))))
        cloud.reset_server(server, state)

    return Call(f"nova: reset server {server} to {state}", send, reset_server(server, left, state))


def _create_attachment(volume: str, server: str, attached: bool) -> Call:
    def send(cloud: Cloud, course: Course) -> None:
        course.made["attachment"] = cloud.create_attachment(volume, server)
        course.said = f"attachment {course.made['attachment']}"
        if attached:
            cloud.complete_attachment(course.made["attachment"])

    return Call(f"cinder: attach volume {volume} to server {server}, in its records only", send, {"delete_attachment": {}})


def _delete_attachment(made: Mapping[str, str]) -> Call:
    attachment = made["attachment"]

    return Call(f"cinder: delete attachment {attachment}", deletion(attachment))


def _switch(name: str, **arguments: Any) -> Call:
    """One of two calls of which each is the other's inverse."""
    back, what, send = _SWITCHES[name]
    signature(send).bind(None, **arguments)
    return Call(what.format(**arguments), lambda cloud, _: send(cloud, **arguments), {back: arguments})


def _create_forwarding(**fields: Any) -> Call:
    forwarding = _forwarding(fields)

    def send(cloud: Cloud, course: Course) -> None:
        course.made["port_forwarding"] = cloud.network.create_forwarding(forwarding)

    return Call(f"neutron: forward {_said(forwarding)} again", send, {"delete_port_forwarding": fields})


def _delete_forwarding(made: Mapping[str, str], **fields: Any) -> Call:
    forwarding, made_id = _forwarding(fields), made["port_forwarding"]

    send = unless_gone(lambda cloud: cloud.network.delete_forwarding(forwarding.floating_ip_id, made_id))
    return Call(f"neutron: remove forwarding {made_id}, {_said(forwarding)}", send, {"create_port_forwarding": fields})


def _forwarding(fields: Mapping[str, Any]) -> PortForwarding:
    first, last = fields["external"]
    inner, inner_last = fields["internal"]
    return PortForwarding(**{**fields, "external": (first, last), "internal": (inner, inner_last)})


def _said(f: PortForwarding) -> str:
    return f"{f.external[0]}/{f.protocol} to {f.address}:{f.internal[0]}"


#: Name -> the name of its inverse, what it is called, and how it is sent.
_SWITCHES: dict[str, tuple[str, str, Callable[..., None]]] = {
    "enable_compute": (
        "disable_compute", "nova: enable nova-compute on {host}",
        lambda cloud, service, host: cloud.hosts.enable_compute(service)),  # noqa: ARG005 - host is told only
    "disable_compute": (
        "enable_compute", "nova: disable nova-compute on {host}",
        lambda cloud, service, host: cloud.hosts.disable_compute(service)),  # noqa: ARG005 - host is told only
    "unforce_down": (
        "force_down", "nova: no longer force nova-compute on {host} down",
        lambda cloud, service, host: cloud.hosts.unforce_down(service)),  # noqa: ARG005 - host is told only
    "force_down": (
        "unforce_down", "nova: force nova-compute on {host} down",
        lambda cloud, service, host: cloud.hosts.force_down(service)),  # noqa: ARG005 - host is told only
    "join_aggregate": (
        "leave_aggregate", "nova: put {host} into aggregate {aggregate}",
        lambda cloud, aggregate, host: cloud.hosts.join_aggregate(aggregate, host)),
    "leave_aggregate": (
        "join_aggregate", "nova: take {host} out of aggregate {aggregate}",
        lambda cloud, aggregate, host: cloud.hosts.leave_aggregate(aggregate, host)),
    "enable_volume_service": (
        "disable_volume_service", "cinder: enable {binary} {host}",
        lambda cloud, binary, host: cloud.hosts.enable_volume_service(binary, host)),
    "disable_volume_service": (
        "enable_volume_service", "cinder: disable {binary} {host}",
        lambda cloud, binary, host: cloud.hosts.disable_volume_service(binary, host)),
    "lock_server": (
        "unlock_server", "nova: lock server {server}", lambda cloud, server: cloud.lock_server(server)),
    "unlock_server": (
        "lock_server", "nova: unlock server {server}", lambda cloud, server: cloud.unlock_server(server)),
    "protect_image": (
        "unprotect_image", "glance: protect image {image}",
        lambda cloud, image: cloud.images.protect(image, protected=True)),
    "unprotect_image": (
        "protect_image", "glance: unprotect image {image}",
        lambda cloud, image: cloud.images.protect(image, protected=False)),
}
_CALLS: dict[str, Callable[..., Call]] = {
    "reset_volume": _reset_volume, "reset_server": _reset_server,
    "create_attachment": _create_attachment, "delete_attachment": _delete_attachment,
    "create_port_forwarding": _create_forwarding, "delete_port_forwarding": _delete_forwarding,
    **{name: partial(_switch, name) for name in _SWITCHES},
}
#: Those that need what the step made.
_MADE = frozenset({"delete_attachment", "delete_port_forwarding"})
