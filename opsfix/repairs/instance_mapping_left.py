"""nova's API database still counts a server that no cell has."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.repair import Fallback, Repair
from opsfix.repairs.instance_common import GONE

NO_ROW = is_("rows.live", 0, "a cell still has a live row of the server")
MAPPED = is_("mapping.state", "live", in_sql=True)
NOT_MAPPED = is_not("mapping.state", "live", in_sql=True)
REQUESTED = is_not("request.id", None, in_sql=True)

REPAIRS = (
    Repair(
        symptom="instance-mapping-left",
        means="nova's API database maps a server that no cell has",
        when=(GONE, is_("mapping.state", "live")),
        only_if=(NO_ROW,),
        fixed_when=(is_not("mapping.state", "live"),),
        fallback=Fallback("instance_mapping_left.nova_api", (MAPPED, NO_ROW)),
    ),
    Repair(
        symptom="instance-mapping-left",
        means="nova's API database keeps a build request of a server that no cell has",
        when=(GONE, is_not("request.id", None), is_not("mapping.state", "live")),
        only_if=(NO_ROW,),
        fixed_when=(is_("request.id", None),),
        fallback=Fallback("instance_request_left.nova_api", (REQUESTED, NOT_MAPPED, NO_ROW)),
    ),
)
