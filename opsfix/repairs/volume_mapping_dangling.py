"""nova maps a volume that cinder has no attachment for: the guest may have the disk while anybody may attach it.

It comes before stale attachments: they, and the hold that an interrupted run left, keep the volume from being attached
elsewhere until nova has let go of it.
"""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.repair import Repair
from opsfix.repairs.volume_common import (
    ANSWERED,
    BACKEND_UP,
    HOST_UP,
    IDLE,
    NO_FOREIGN,
    NO_GUEST,
    NOT_ROOT,
    ONE_MAPPING,
    ONE_SERVER,
    SETTLED,
    STALE_SETTLED,
)
from opsfix.steps import CompleteAttachment, DeleteStaleAttachments, DetachThroughNova, HoldVolume, ReleaseVolume

DANGLING = is_("volume.mapping_dangling", True)
GUARDS = (
    ANSWERED, ONE_SERVER, ONE_MAPPING, NOT_ROOT, SETTLED, HOST_UP, IDLE,
    is_("server.detach", "possible", "nova cannot detach it: {server_detach}"),
)

REPAIRS = (
    Repair(
        symptom="volume-mapping-dangling",
        means="nova maps the volume and cinder has no attachment for it",
        when=(DANGLING, is_("attachments.live", 0)),
        only_if=(
            *GUARDS,
            is_(
                "volume.status", "available",
                "server {server_id} still maps it, cinder has no attachment and calls it {volume_status}, so nova cannot detach it:"
                " see 'opsfix volume reconcile {volume_id}', which detaches it, or keeps it with 'nova-manage volume_attachment refresh'",
            ),
        ),
        api=(HoldVolume(), DetachThroughNova(), ReleaseVolume()),
        fixed_when=(is_("mappings.live", 0), is_("attachments.live", 0), is_("volume.status", "available")),
    ),
    Repair(
        symptom="volume-mapping-dangling",
        means="nova maps the volume through an attachment that cinder does not have; others hold it",
        when=(DANGLING, is_not("attachments.live", 0)),
        only_if=(*GUARDS, BACKEND_UP, STALE_SETTLED, NO_GUEST, NO_FOREIGN),
        api=(CompleteAttachment("attachments.first_id"), DetachThroughNova(), DeleteStaleAttachments()),
        fixed_when=(is_("mappings.live", 0), is_("attachments.stale", 0)),
    ),
)
