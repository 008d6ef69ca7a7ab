"""A creation that nobody works on ends in error, from which its owner can delete it."""

from __future__ import annotations

from opsfix.guards import is_
from opsfix.repair import Repair
from opsfix.repairs.volume_common import NO_ATTACHMENT, NO_USER, NOT_WORKED_ON, RECORDED
from opsfix.steps import CleanUpWorkers, ResetVolume

REPAIR = Repair(
    symptom="volume-creating",
    means="the volume hangs in creating",
    when=(is_("volume.status", "creating"),),
    only_if=(RECORDED, NOT_WORKED_ON, NO_ATTACHMENT, NO_USER),
    api=(CleanUpWorkers(), ResetVolume("error", "detached")),
    fixed_when=(is_("volume.status", "error"),),
)
