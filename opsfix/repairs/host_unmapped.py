"""A nova-compute whose host belongs to no cell yet: nova calls it up, and sends it no server."""

from __future__ import annotations

from opsfix.discoveries import DiscoverHosts
from opsfix.guards import is_, is_not
from opsfix.repair import Fallback, Repair

ONE = is_(
    "host.cells", 1,
    "{host_cells} cells have a host of this name, and nova can map one: rename the other, in its own nova.conf",
)
MANAGED = is_("host.managed", True, "there is no nova-manage on this host that uses the databases of opsfix")
UNMAPPED = is_("host.mapping", None, in_sql=True)

REPAIR = Repair(
    symptom="host-unmapped",
    means="the host is not mapped to any cell, so nova sends it no server",
    when=(is_("host.mapping", None),),
    only_if=(ONE,),
    api=(DiscoverHosts(),),
    api_if=(MANAGED,),
    fixed_when=(is_not("host.mapping", None),),
    fallback=Fallback("host_unmapped.nova_api", (UNMAPPED, ONE)),
)
