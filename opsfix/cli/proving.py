"""Whether the configured databases are those behind the API, asked before anything is read from them."""

from __future__ import annotations

from opsfix.gateways.cloud import OpenStackCloud
from opsfix.gateways.database import Databases
from opsfix.gateways.opening import prove_aggregates, prove_images, prove_live, prove_mappings, prove_providers
from opsfix.resources import Service

#: Images that must be in glance's database as the API shows them, servers that nova's must know.
NEWEST = 10


def prove(
    cloud: OpenStackCloud, databases: Databases | None, *, aggregates: bool = False
) -> tuple[list[Service], list[Service]]:
    """The services of nova and cinder as the API lists them, once every database is proven; ``aggregates`` also
    proves nova_api, beyond what its cells prove. Raises ConfigError, GuardError, CloudUnknown or CloudRefused."""
    computes, volumes = cloud.compute_services(), cloud.volume_services()
    if databases is not None:
        databases.check()
        prove_live(databases, computes, volumes)
        names = databases.names()
        if "glance" in names:
            prove_images(databases, cloud.images.newest(NEWEST))
        if "placement" in names:
            prove_providers(databases, cloud.placement.providers())
        if aggregates and "nova_api" in names:
            prove_aggregates(databases, cloud.hosts.aggregates())
            prove_mappings(databases, cloud.newest_servers(NEWEST))
    return computes, volumes
