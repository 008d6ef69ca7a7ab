"""The API steps that repair ports of servers."""

from __future__ import annotations

from collections.abc import Iterator

from opsfix.errors import CloudRefused
from opsfix.guards import Facts
from opsfix.ports import Cloud
from opsfix.steps import Call, Course, Step


class BindPort(Step):
    """Have neutron bind the port to its server's host anew, if it is still that server's."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        port, server, host = facts["port.id"], facts["server.id"], facts["server.host"]

        def bind(cloud: Cloud, _: Course) -> None:
            found = cloud.network.port(port)
            if found is None or (found.device_id, found.host, found.vif_type) != (server, facts["port.host"], facts["port.vif"]):
                raise CloudRefused(0, "it is no longer as it was seen: somebody else is at work on it")
            cloud.network.bind_port(port, host)

        yield Call(f"neutron: bind port {port} to {host} again", bind)
