"""Guards that the repairs of cinder's counts share."""

from __future__ import annotations

from opsfix.guards import is_

NO_LIVE = is_(
    "reservations.live", 0,
    "cinder has {reservations_live} live reservations of project {project_id}, the last until {reservations_until}: it is at"
    " work, or a service of it died there; wait until they are used or have expired",
    in_sql=True,
)
NO_EXPIRED = is_("reservations.expired", 0, "reservations have expired meanwhile: run the command again", in_sql=True)
