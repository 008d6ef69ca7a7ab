"""What cinder has counted for a project is not what there is: each count is set to what is counted anew."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.repair import Fallback, Repair
from opsfix.repairs.quota_common import NO_EXPIRED, NO_LIVE

COUNTED = is_(
    "project.uncounted", 0,
    "{project_uncounted} volumes or snapshots of the project have no word on whether they count (use_quota):"
    " run 'cinder-manage db online_data_migrations' first",
    in_sql=True,
)
KNOWN = is_(
    "usage.known", True,
    "whether snapshots count as gigabytes stands in cinder.conf (no_snapshot_gb_quota), which was not found: repeat with"
    " --snapshot-gigabytes or --no-snapshot-gigabytes",
)
IDLE = is_(
    "project.idle", True, "volumes, snapshots or backups of the project were being made or deleted a moment ago: wait",
    in_sql=True,
)

REPAIR = Repair(
    symptom="quota-usage-wrong",
    means="what cinder has counted for the project is not what there is",
    when=(is_not("usages.wrong", 0),),
    only_if=(NO_LIVE, NO_EXPIRED, COUNTED, IDLE, KNOWN),
    fixed_when=(is_("usages.wrong", 0),),
    fallback=Fallback(
        "quota_usage_wrong.cinder",
        (is_not("usage.id", None, in_sql=True), NO_LIVE, NO_EXPIRED, COUNTED, IDLE, KNOWN),
        one_of_many=True,
    ),
)
