"""A deletion that nobody works on is asked for again."""

from __future__ import annotations

from opsfix.guards import is_
from opsfix.repair import Repair
from opsfix.repairs.volume_common import BACKEND_UP, NO_ATTACHMENT, NO_USER, NOT_WORKED_ON, RECORDED
from opsfix.steps import CleanUpWorkers, DeleteVolume, ResetVolume

REPAIR = Repair(
    symptom="volume-deleting",
    means="the volume hangs in deleting",
    when=(is_("volume.status", "deleting"),),
    only_if=(BACKEND_UP, RECORDED, NOT_WORKED_ON, NO_ATTACHMENT, NO_USER),
    api=(CleanUpWorkers(), ResetVolume("error", "detached"), DeleteVolume(force=True, status="error")),
    fixed_when=(is_("volume.status", "deleted", "it is {volume_status}: the log of cinder-volume {volume_backend} says why"),),
)
