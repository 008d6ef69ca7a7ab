"""An attachment that some host holds and that nova knows nothing of."""

from __future__ import annotations

from opsfix.guards import is_, is_not, one_of
from opsfix.repair import Repair
from opsfix.volumes import ATTACH_STATES

REPAIR = Repair(
    symptom="volume-attachment-unproven",
    means="cinder has a connected attachment whose server lives and does not map the volume",
    when=(one_of("volume.status", *ATTACH_STATES), is_not("attachments.unproven", 0)),
    only_if=(
        is_(
            "attachments.unread", 0,
            "nova does not tell about a server that has it attached: its cell is down, or only the database has the server",
        ),
        is_(
            "attachments.unproven", 0,
            "its server lives and nova does not map the volume, so the guest may have it: stop the server, then repeat",
        ),
    ),
)
