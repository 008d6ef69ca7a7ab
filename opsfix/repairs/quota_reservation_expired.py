"""Reservations that expired: what asked for them is dead, and cinder-scheduler, which removes them once a day, has not yet."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.repair import Fallback, Repair
from opsfix.repairs.quota_common import NO_LIVE

EXPIRED = is_not("reservations.expired", 0, in_sql=True)

REPAIR = Repair(
    symptom="quota-reservation-expired",
    means="reservations of the project have expired and still count",
    when=(EXPIRED,),
    only_if=(NO_LIVE,),
    fixed_when=(is_("reservations.expired", 0),),
    fallback=Fallback("quota_reservation_expired.cinder", (EXPIRED, NO_LIVE)),
)
