"""A host whose name another cell has too: nova's own deletion would take what is the other host's."""

from __future__ import annotations

from opsfix.guards import enforced, is_, is_not
from opsfix.repair import Fallback, Repair
from opsfix.repairs.compute_common import GONE_FOR_GOOD, NO_MIGRATION, NO_SERVER

REPAIR = Repair(
    symptom="compute-service-twin",
    means="another cell has a host of this name, and nova's own deletion would take the other's aggregates and mapping",
    when=(is_("compute.twin", True), is_not("service.uuid", None)),
    only_if=GONE_FOR_GOOD,
    fixed_when=(is_("service.uuid", None),),
    fallback=Fallback(
        "compute_service_twin.nova", (is_not("service.uuid", None, in_sql=True), enforced(NO_SERVER), NO_MIGRATION)
    ),
)
