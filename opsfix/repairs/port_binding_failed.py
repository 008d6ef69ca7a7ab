"""A port that neutron could not bind to its server's host: the guest has no network there."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.port_steps import BindPort
from opsfix.repair import Repair
from opsfix.repairs.port_common import STILL

REPAIR = Repair(
    symptom="port-binding-failed",
    means="neutron could not bind the port of server {server_id}",
    when=(is_("port.vif", "binding_failed"), is_("server.state", "live")),
    only_if=(
        STILL,
        is_("server.task_state", "none", "its server is {server_task_state}, and nova binds its ports itself: wait for the end"),
        is_("server.moving", False, "its server is being moved, and may have a binding on each host: end the migration first"),
        is_not("server.host", None, "its server is on no host: there is nothing to bind it to"),
        is_(
            "server.host_state", "up",
            "{server_host} is {server_host_state}: bring nova-compute and the network agent there back, then bind it",
        ),
    ),
    api=(BindPort(),),
    fixed_when=(is_not(
        "port.vif", "binding_failed",
        "neutron still cannot bind it to {server_host}: see 'openstack network agent list --host {server_host}', and whether the"
        " agent's bridge mappings have the port's network",
    ),),
)
