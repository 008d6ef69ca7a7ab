"""The API steps that purges of servers are made of: the server itself, then what its owners still keep for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from opsfix.errors import CloudRefused
from opsfix.guards import Facts
from opsfix.model import Result
from opsfix.ports import Cloud
from opsfix.steps import Call, Course, Send, Step, deletion, unless_gone, wait_for

#: Tasks with which nova takes no further request to delete while its host lives.
DELETING = ("deleting", "soft-deleting")


class UnlockServer(Step):
    """Take away the lock that the operator said to take away."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        server = facts["server.id"]
        if facts["server.locked"]:
            yield Call(
                f"nova: unlock server {server}", lambda cloud, _: cloud.unlock_server(server), {"lock_server": {"server": server}}
            )


class EndStuckDeletion(Step):
    """Reset a server that is stuck in its deletion: a nova-compute that is up was told already, and nova ignores more."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        server = facts["server.id"]

        def reset(cloud: Cloud, _: Course) -> Result | None:
            if _unchanged(cloud, facts):
                cloud.reset_server(server, "error")
                return None
            return Result.SKIPPED

        if facts["server.task_state"] in DELETING and facts["server.host_state"] == "up":
            yield Call(f"nova: reset server {server} to error", reset)


def _unchanged(cloud: Cloud, facts: Facts) -> bool:
    """False for one that is gone; refuses when somebody else is at work on it."""
    server = cloud.server(facts["server.id"])
    if server is None:
        return False
    if (server.host, server.task_state) != (facts["server.host"], facts["server.task_state"]):
        raise CloudRefused(0, "it is no longer as it was seen: somebody else is at work on it")
    return True


class DeleteServer(Step):
    """Delete, by force what nova keeps to be restored or refuses to delete as it is, and wait for the real end."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        server, kept = facts["server.id"], facts["server.vm_state"] == "soft-delete"

        def delete(cloud: Cloud, course: Course) -> None:
            forced = _delete(cloud, server, force=kept)
            wait_for(lambda: _rests(cloud, server), course, "nova accepted, but the server is still being deleted")
            left = cloud.server(server)
            if left is not None and not forced:
                _delete(cloud, server, force=True)
                wait_for(lambda: _rests(cloud, server), course, "nova accepted, but the server is still being deleted")
                left = cloud.server(server)
            if left is not None:
                raise CloudRefused(0, f"nova accepted the deletion, and yet the server is still there, {left.vm_state}")

        yield Call(f"nova: {'force-' if kept else ''}delete server {server}", delete)


def _delete(cloud: Cloud, server: str, *, force: bool) -> bool:
    """Returns whether it was forced in the end."""
    try:
        cloud.delete_server(server, force=force)
    except CloudRefused as e:
        if e.status == 404:
            return True
        if e.status != 409 or force:
            raise
        return _delete(cloud, server, force=True)
    return force


def _rests(cloud: Cloud, server_id: str) -> bool:
    """nova sets the task before it answers: without one the server is gone, kept to be restored, or failed to go."""
    server = cloud.server(server_id)
    return server is None or server.task_state not in DELETING


class FreeVolumes(Step):
    """Delete each attachment of a server that is gone."""

    independent = True

    def calls(self, facts: Facts) -> Iterator[Call]:
        for attachment in facts["attachments.ids"]:
            yield Call(f"cinder: delete attachment {attachment}", deletion(attachment))


class FreePorts(Step):
    """Delete the ports that nova made, take the server from those that somebody else made."""

    independent = True

    def calls(self, facts: Facts) -> Iterator[Call]:
        server = facts["server.id"]
        for port in facts["ports.made"]:
            yield Call(f"neutron: delete port {port}", _of(server, port, lambda cloud, p: cloud.network.delete_port(p)))
        for port in facts["ports.users"]:
            yield Call(f"neutron: unbind port {port}", _of(server, port, lambda cloud, p: cloud.network.unbind_port(p)))


def _of(server: str, port: str, send: Callable[[Cloud, str], None]) -> Send:
    """Send it only while the port is still the server's: its owner may have given it to another one."""

    def sent(cloud: Cloud, course: Course) -> Result | None:
        found = cloud.network.port(port)
        if found is None or found.device_id != server:
            return Result.SKIPPED
        return unless_gone(lambda cloud: send(cloud, port))(cloud, course)

    return sent


class FreeAllocation(Step):
    """Give back what placement counts for the server."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        server = facts["server.id"]
        yield Call(
            f"placement: delete the allocation of server {server}",
            unless_gone(lambda cloud: cloud.placement.delete_allocation(server)),
        )
