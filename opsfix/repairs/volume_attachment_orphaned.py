"""Attachments that no server uses: their server is gone, or nova uses another one, or no host ever got them."""

from __future__ import annotations

from opsfix.guards import is_, is_not, one_of
from opsfix.repair import Fallback, Repair
from opsfix.repairs.volume_common import NO_GUEST, STALE_SETTLED
from opsfix.steps import DeleteStaleAttachments
from opsfix.volumes import ATTACH_STATES

STATE = one_of("volume.status", *ATTACH_STATES, in_sql=True)
NOT_MIGRATING = is_("volume.migration", "none", in_sql=True)
HELD = is_(
    "attachments.stale_frees", False,
    "server {server_id} maps it through an attachment that failed, and without the stale one cinder would call it free:"
    " detach it from the server first",
)

REPAIR = Repair(
    symptom="volume-attachment-orphaned",
    means="cinder keeps attachments that no server uses",
    when=(STATE, is_not("attachments.stale", 0)),
    only_if=(STALE_SETTLED, HELD, NO_GUEST),
    api=(DeleteStaleAttachments(),),
    api_if=(is_("attachments.stale_backend", "up", "cinder-volume {volume_backend} is {volume_backend_state}"),),
    fixed_when=(is_("attachments.stale", 0),),
    fallback=Fallback(
        "volume_attachment_orphaned.cinder",
        (
            STATE, NOT_MIGRATING, is_not("stale.attachment", None, in_sql=True), is_not("stale.status", None, in_sql=True),
            STALE_SETTLED, HELD, NO_GUEST,
        ),
        one_of_many=True,
        after_refusal=False,  # cinder asked nova, and nova uses it (OSSA-2023-003)
    ),
)
