"""Guards that the repairs of server states share."""

from __future__ import annotations

from opsfix.guards import is_, is_not, none_of
from opsfix.server_states import DELETING

NOT_DELETING = none_of(
    "server.task_state", *DELETING,
    advice="its owner asked for its deletion, which hangs: 'opsfix instance purge {server_id}' ends it",
)
SETTLED = is_(
    "server.migration", None,
    "a migration of it is not over ({server_migration}): wait, confirm or revert it, or abort it, first",
)
RAN = is_(
    "server.launched", True,
    "it never ran on any host, so 'active' would be a lie: delete it and build it again",
)
HAS_HOST = is_not("server.host", None, "no host has it, so 'active' would be a lie: unshelve it, or delete it and build it again")
HOST_UP = is_(
    "server.host_state", "up",
    "its host {server_host} is {server_host_state} and nobody knows whether its guest runs: start nova-compute there;"
    " if the host is off for good: openstack server evacuate {server_id}",
)
#: What must hold before a server may be called active.
TRUE = (NOT_DELETING, SETTLED, RAN, HAS_HOST, HOST_UP)
RESET = (is_("server.task_state", None), is_("server.vm_state", "active"))
CONDEMNED = (is_("server.task_state", None), is_("server.vm_state", "error"))
