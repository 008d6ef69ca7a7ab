"""Guards that several repairs of volumes share."""

from __future__ import annotations

from opsfix.guards import is_, one_of

ANSWERED = is_("server.answered", True, "nova does not tell about server {server_id}: its cell is down, or only the database has it")
SETTLED = is_("server.in_flight", False, "server {server_id} is being built or moved: wait, or confirm or revert the move first")
IDLE = is_("server.task_state", None, "server {server_id} is busy ({server_task_state}): wait until nova is done with it")
ONE_SERVER = is_("server.count", 1, "{server_count} servers map the volume: detach them one by one")
ONE_MAPPING = is_("mappings.live", 1, "server {server_id} maps it twice: see 'opsfix volume reconcile {volume_id}'")
NOT_ROOT = is_("mapping.root", False, "it is the boot disk of server {server_id}, which is never cut: stop and start the server instead")
HOST_UP = one_of(
    "server.host_state", "up", "none",
    advice="host {server_host} of server {server_id} is {server_host_state} and the guest may still write:"
    " bring the host back, or make sure that it is off and repeat with --fenced {server_host}",
)
BACKEND_UP = one_of(
    "volume.backend_state", "up", "none",
    advice="cinder-volume {volume_backend} is {volume_backend_state}: start it first; a deletion it then finishes itself",
)
NOT_WORKED_ON = is_("volume.worked_on", "no", "cinder-volume {volume_backend} still works on it: wait, or restart that service if it hangs")
RECORDED = is_("volume.status_recorded", True)
NO_USER = is_("mappings.live", 0, "server {server_id} still maps the volume")
NO_ATTACHMENT = is_("attachments.live", 0, "cinder still has {attachments_live} attachments of it")
STALE_SETTLED = is_(
    "attachments.stale_in_flight", False,
    "server {stale_server} is being built, moved or worked on: wait, or confirm or revert the move first",
)
NO_GUEST = is_(
    "attachments.stale_guest", "absent",
    "the guest of server {stale_server} {attachments_stale_guest} and still write:"
    " make sure that the host is off and repeat with --fenced HOST",
)
NO_FOREIGN = is_(
    "attachments.foreign", 0,
    "an attachment of it names no server: a host, an image store or another consumer of cinder uses it, so ask that one",
)
