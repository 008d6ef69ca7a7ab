"""Guards that several repairs of servers share, and the SQL that deletes one as nova does."""

from __future__ import annotations

from opsfix.guards import enforced, is_, is_not, one_of
from opsfix.repair import Fallback

GONE = one_of("server.state", "deleted", "gone")
ANSWERED = is_("server.answered", True, "nova does not tell about the server: its cell is down, so bring that up first")
UNLOCKED = is_("server.locked_out", False, "the server is locked: ask who locked it, and repeat with --unlock")
SETTLED = is_(
    "server.in_flight", False,
    "it is being built or moved ({server_task_state}) by a nova-compute that lives: wait, or restart nova-compute on"
    " {server_host}, which ends what it cannot finish",
)
NO_RESIZE = is_("server.resize_waits", False, "its resize waits: confirm or revert it with 'openstack server resize' first")
NOT_WRITTEN = is_(
    "server.written", False,
    "host {server_host} is {server_host_state} and the guest may still write to {volumes_attached} volumes: bring the host"
    " back, or make sure that it is off and repeat with --fenced {server_host}",
)
REFUSALS = (ANSWERED, UNLOCKED, NO_RESIZE, SETTLED, NOT_WRITTEN)

ROW = is_not("row.id", None, in_sql=True)
RESTS = is_("server.moving", False, "a migration of it is not finished, and SQL would leave its other half behind", in_sql=True)
SILENT = is_(
    "server.writes", "nothing",
    "the guest may still write {server_writes} on {server_host}, which is {server_host_state}: map the server to its cell with"
    " 'nova-manage cell_v2 map_instances', so that nova itself can delete it",
    in_sql=True,
)
LAST_RESORT = is_(
    "server.last_resort", True, "nova refuses, and its host lives: what nova-compute on {server_host} logs tells why"
)
ONE_ROW = is_("rows.live", 1, "{rows_live} cells have a live row of it: delete the false one with nova's own tools first")

#: What nova will delete with the server, once it can.
DELETED_WITH_IT = "nova deletes it then, and with it: {volumes_doomed}"

SOFT_DELETE = Fallback(
    "instance_present.nova",
    (ROW, enforced(UNLOCKED), RESTS, SILENT, ANSWERED, SETTLED, NO_RESIZE, NOT_WRITTEN, LAST_RESORT, ONE_ROW),
)
