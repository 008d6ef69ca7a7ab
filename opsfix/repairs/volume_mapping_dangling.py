"""nova maps a volume that cinder has no attachment for: the guest may have the disk while anybody may attach it."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.repair import Repair
from opsfix.repairs.volume_common import ANSWERED, HOST_UP, IDLE, NO_ATTACHMENT, NOT_ROOT, ONE_SERVER, SETTLED
from opsfix.steps import DetachThroughNova, HoldVolume, ReleaseVolume

REPAIR = Repair(
    symptom="volume-mapping-dangling",
    means="nova maps the volume and cinder has no attachment for it",
    when=(is_("volume.mapping_dangling", True),),
    only_if=(
        ANSWERED, ONE_SERVER, NOT_ROOT, SETTLED, HOST_UP, IDLE, NO_ATTACHMENT,
        is_(
            "volume.status", "available",
            "server {server_id} still maps it, cinder has no attachment and calls it {volume_status}, so nova cannot detach it:"
            " stop the server and make a new attachment with 'nova-manage volume_attachment refresh'",
        ),
        is_("server.detach", "possible", "nova cannot detach it: {server_detach}"),
    ),
    api=(HoldVolume(), DetachThroughNova(), ReleaseVolume()),
    fixed_when=(is_("mappings.live", 0), is_("attachments.live", 0), is_("volume.status", "available")),
)
