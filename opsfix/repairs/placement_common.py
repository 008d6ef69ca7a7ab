"""Guards that repairs of placement share."""

from __future__ import annotations

from opsfix.guards import is_

STILL = is_(
    "placement.still", True, "it changed while it was looked at twice, so somebody is at work on it: look again in a while"
)
ONLY_NOVA = is_(
    "consumer.others", "none",
    "the catalogue has a service of type {consumer_others}, which uses placement as well, and nothing tells whose consumer it"
    " was: see that it is nobody's, and delete it with 'openstack resource provider allocation delete ID'",
)
