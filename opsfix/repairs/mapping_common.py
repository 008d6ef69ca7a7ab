"""Guards that several repairs of nova's mappings share."""

from __future__ import annotations

from opsfix.guards import enforced, is_, is_not
from opsfix.repairs.volume_common import NOT_ROOT, SETTLED

ASKED = is_(
    "detach.asked", True,
    "the guest of server {server_id} may use the disk: to keep it, stop the server and run {mapping_keep}; to take it from the"
    " guest, repeat with --detach",
)
DETACHABLE = is_("server.detach", "possible", "nova cannot detach it: {server_detach}")
GUEST = is_(
    "server.guest", "absent",
    "the guest of server {server_id} {server_guest} and may have the disk open: stop the server, then repeat",
    in_sql=True,
)
MAPPED = is_not("mapping.id", None, in_sql=True)
UNATTACHED = is_("attachments.mapped", 0, "cinder has the attachment after all: run the command again")
#: What sql/mapping_unheld.nova.sql holds, in the header's order.
HELD_IN_SQL = (MAPPED, enforced(NOT_ROOT), enforced(SETTLED))
