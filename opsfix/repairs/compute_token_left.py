"""Console tokens that lead to a host that is gone."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.repair import Fallback, Repair
from opsfix.repairs.compute_common import GONE_FOR_GOOD

REPAIR = Repair(
    symptom="compute-token-left",
    means="console tokens still lead to a host that nova no longer has",
    when=(is_not("tokens.count", 0), is_("service.uuid", None)),
    only_if=GONE_FOR_GOOD,
    fixed_when=(is_("tokens.count", 0),),
    fallback=Fallback("compute_token_left.nova", (is_("service.uuid", None, in_sql=True),)),
)
