"""cinder counts one resource of a project twice: the later row is the one that it uses, and stays."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.repair import Fallback, Repair
from opsfix.repairs.quota_common import NO_EXPIRED, NO_LIVE

TWIN = is_not("twin.id", None, in_sql=True)

REPAIR = Repair(
    symptom="quota-usage-duplicate",
    means="cinder counts one resource of the project twice",
    when=(TWIN,),
    only_if=(NO_LIVE, NO_EXPIRED),
    fixed_when=(is_("twins", 0),),
    fallback=Fallback(
        "quota_usage_duplicate.cinder", (TWIN, is_not("twin.kept", None, in_sql=True), NO_LIVE, NO_EXPIRED), one_of_many=True,
    ),
)
