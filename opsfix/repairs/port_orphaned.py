"""A port of a server that is gone: its address is taken, and its security group cannot be deleted."""

from __future__ import annotations

from opsfix.guards import is_
from opsfix.repair import Repair
from opsfix.repairs.port_common import STILL
from opsfix.server_steps import FreePorts

REPAIR = Repair(
    symptom="port-orphaned",
    means="neutron keeps a port for server {server_id}, which is gone",
    when=(is_("port.of_server", True), is_("server.state", "gone")),
    only_if=(STILL,),
    api=(FreePorts(),),
    fixed_when=(is_("port.of_server", False),),
)
