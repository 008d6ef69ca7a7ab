"""A host that is mapped to a cell and has no service, node or server there."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.repair import Fallback, Repair
from opsfix.repairs.compute_common import GONE_FOR_GOOD, NO_SERVER

UNREGISTERED = is_("service.uuid", None)
MAPPED = is_not("host_mapping.id", None)

REPAIR = Repair(
    symptom="compute-mapping-left",
    means="a host that nova no longer has is still mapped to a cell",
    when=(MAPPED, UNREGISTERED, is_("node.id", None)),
    only_if=GONE_FOR_GOOD,
    fixed_when=(is_("host_mapping.id", None),),
    fallback=Fallback(
        "compute_mapping_left.nova_api", (is_not("host_mapping.id", None, in_sql=True), UNREGISTERED, NO_SERVER)
    ),
)
