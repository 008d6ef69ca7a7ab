"""A deletion that the storage driver failed is asked for once more."""

from __future__ import annotations

from opsfix.guards import is_
from opsfix.repair import Repair
from opsfix.repairs.volume_common import BACKEND_UP, NO_ATTACHMENT, NO_USER
from opsfix.steps import DeleteVolume

REPAIR = Repair(
    symptom="volume-delete-failed",
    means="the storage driver failed to delete the volume",
    when=(is_("volume.status", "error_deleting"),),
    only_if=(BACKEND_UP, NO_ATTACHMENT, NO_USER),
    api=(DeleteVolume(force=True),),
    fixed_when=(is_("volume.status", "deleted", "it is {volume_status}: the log of cinder-volume {volume_backend} says why"),),
)
