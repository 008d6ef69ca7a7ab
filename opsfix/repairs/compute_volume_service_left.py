"""cinder's services of a dead host: disabled by API; their rows go by SQL, for cinder has no call that removes one."""

from __future__ import annotations

from opsfix.compute_steps import DisableVolumeServices
from opsfix.guards import enforced, is_, is_not
from opsfix.repair import Fallback, Repair
from opsfix.repairs.compute_common import GONE_FOR_GOOD, NO_VOLUME

SYMPTOM = "compute-volume-service-left"

REPAIRS = (
    Repair(
        symptom=SYMPTOM,
        means="cinder still offers work to services of a dead host",
        when=(is_not("volume_services.enabled", 0),),
        only_if=GONE_FOR_GOOD,
        api=(DisableVolumeServices(),),
        fixed_when=(is_("volume_services.enabled", 0),),
    ),
    Repair(
        symptom=SYMPTOM,
        means="cinder still has services of a dead host, and no call of its API removes them",
        when=(is_not("volume_services.count", 0),),
        only_if=GONE_FOR_GOOD,
        fixed_when=(is_("volume_services.count", 0),),
        fallback=Fallback(
            "compute_volume_service_left.cinder",
            (is_not("volume_service.id", None, in_sql=True), enforced(NO_VOLUME)),
            one_of_many=True,
        ),
    ),
)
