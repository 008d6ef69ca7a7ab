"""A copy from or to an image: only cinder's own clean-up of its workers may end it."""

from __future__ import annotations

from opsfix.guards import none_of, one_of
from opsfix.repair import Repair
from opsfix.repairs.volume_common import NOT_WORKED_ON
from opsfix.steps import CleanUpWorkers

REPAIR = Repair(
    symptom="volume-image-copy",
    means="the volume hangs in {volume_status}",
    when=(one_of("volume.status", "uploading", "downloading"),),
    only_if=(NOT_WORKED_ON,),
    api=(CleanUpWorkers(),),
    fixed_when=(none_of("volume.status", "uploading", "downloading"),),
    refused="cinder's worker clean-up did not end it: restart cinder-volume {volume_backend}, which ends it at its start;"
    " if it stays, look at the image, then 'openstack volume set --state available'",
)
