"""nova's node has another name than its resource provider: its host was renamed."""

from __future__ import annotations

from opsfix.guards import is_
from opsfix.repair import Repair

REPAIR = Repair(
    symptom="placement-provider-renamed",
    means="a resource provider has the name that its node had before its host was renamed",
    when=(is_("provider.renamed", True),),
    only_if=(is_(
        "provider.renamed", False,
        "nova's node is called {provider_node_name}, its provider {provider_name}: give the host its name back, which nova needs"
        " for its servers; if it has none, 'openstack resource provider set {placement_id} --name {provider_node_name}'",
    ),),
)
