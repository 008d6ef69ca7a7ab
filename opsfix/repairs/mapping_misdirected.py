"""nova's mapping names an attachment that cinder does not have, while cinder has another one for the same server."""

from __future__ import annotations

from opsfix.guards import is_
from opsfix.repair import Repair
from opsfix.repairs.mapping_common import ASKED, DETACHABLE
from opsfix.repairs.volume_common import (
    ANSWERED,
    BACKEND_UP,
    HOST_UP,
    IDLE,
    NO_FOREIGN,
    NOT_ROOT,
    ONE_MAPPING,
    ONE_SERVER,
    SETTLED,
)
from opsfix.steps import CompleteAttachment, DeleteStaleAttachments, DetachThroughNova

REPAIR = Repair(
    symptom="mapping-misdirected",
    means="nova maps the volume through an attachment that cinder does not have, and cinder has another one for that server",
    when=(is_("mapping.misdirected", True),),
    only_if=(
        ANSWERED, ONE_SERVER, ONE_MAPPING, NOT_ROOT, SETTLED, HOST_UP, IDLE, BACKEND_UP, NO_FOREIGN,
        is_("attachments.strange", 0, "other servers have it attached as well, and nova does not map it there: stop them, then repeat"),
        DETACHABLE, ASKED,
    ),
    api=(CompleteAttachment("attachments.first_id"), DetachThroughNova(), DeleteStaleAttachments("own")),
    fixed_when=(is_("mappings.live", 0), is_("attachments.live", 0)),
)
