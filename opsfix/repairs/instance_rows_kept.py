"""The rows of a server that is deleted: they go only on request, and only when its guest is proven absent."""

from __future__ import annotations

from opsfix.guards import is_
from opsfix.repair import Fallback, Repair
from opsfix.repairs.instance_common import GONE, ROW
from opsfix.repairs.instance_mapping_left import NO_ROW

NO_GUEST = is_(
    "rows.guest", "absent",
    "its guest {rows_guest}: nova-compute finds a forgotten guest by these rows, and without them it would run for ever; wait"
    " until nova-compute has taken it away, or make sure that the host is off and repeat with --fenced HOST",
    in_sql=True,
)
NO_COPY = is_(
    "rows.evacuated_from", "no host",
    "it was evacuated from {rows_evacuated_from}, which takes the old guest away when it comes back, and needs these rows for that:"
    " start it, or make sure that it is off and repeat with --fenced HOST",
)
NO_REFERENCE = is_(
    "rows.referenced", 0, "{rows_referenced} rows of fixed_ips or consoles still name it: they are of nova-network, look at them first",
)
NOTHING_LEFT = (is_("attachments.left", 0), is_("ports.left", 0), is_("allocation.held", False))

REPAIRS = (
    Repair(
        symptom="instance-rows-kept",
        means="a cell keeps the rows of a server that is deleted",
        when=(is_("rows.wanted", True), is_("rows.kept", True)),
        only_if=(NO_GUEST, NO_COPY, NO_REFERENCE, *NOTHING_LEFT),
        fixed_when=(is_("rows.kept", False),),
        fallback=Fallback("instance_rows_kept.nova", (ROW, NO_GUEST, NO_REFERENCE, NO_COPY, *NOTHING_LEFT)),
    ),
    Repair(
        symptom="instance-rows-kept",
        means="nova's API database keeps the mapping of a server that is deleted",
        when=(is_("rows.wanted", True), GONE, is_("mapping.state", "queued")),
        only_if=(NO_ROW,),
        fixed_when=(is_("mapping.state", "none"),),
        fallback=Fallback("instance_records_kept.nova_api", (is_("mapping.state", "queued", in_sql=True), NO_ROW)),
    ),
)
