"""Guards that all stages of a purge of a compute host share: the host is dead, and nothing is lost with it."""

from __future__ import annotations

from opsfix.guards import is_, one_of

CELLS_UP = is_("compute.cells_up", True, "a cell of nova is down, so what is said of servers is not complete: bring it up first")
CELL_CHOSEN = is_(
    "compute.cell_chosen", True,
    "{compute_cells} cells have a host of this name: say which one with 'opsfix compute purge {compute_id} --cell CELL', a"
    " cell of nova's databases; 'nova-manage cell_v2 list_hosts' shows them",
)
DOWN = one_of(
    "compute.state", "down", "fenced", "missing",
    advice="nova-compute on {compute_id} is {compute_state}: stop it and the host first; what lives is never purged",
)
SILENT = is_(
    "living.count", 0,
    "{living_names} on {compute_id} still reports, so the host is not dead: stop it, and wait until it is called down",
)
STILL = is_("compute.stirs", False, "something on {compute_id} reported while it was watched: it is alive, so stop it first")
DATED = is_(
    "compute.dated", True,
    "nothing tells when {compute_id} last lived: make sure that it is off, and repeat with --fenced {compute_id}",
)
NO_SERVER = is_(
    "servers.count", 0,
    "{servers_count} servers are still on it ({servers_names}): make sure that it is off, then evacuate them with"
    " 'opsfix compute drain {compute_id} --fenced {compute_id}', or destroy them with 'opsfix instance purge --on-hosts FILE'",
)
NO_MIGRATION = is_(
    "migrations.count", 0,
    "{migrations_count} migrations from or to it are not over ({migrations_names}): confirm, revert or abort them, see"
    " 'openstack server migration list --host {compute_id}'",
)
NO_VOLUME = is_(
    "volumes.count", 0,
    "{volumes_count} volumes have their only backend on it ({volumes_backends}): run that backend elsewhere, then"
    " 'cinder-manage volume update_host' and 'cinder-manage volume update_service'",
)
NO_DOUBT = is_(
    "allocations.unproven", 0,
    "{allocations_unproven} consumers of its resource providers are not proven dead ({allocations_unproven_names}): look at"
    " each, and delete its allocation with 'openstack resource provider allocation delete ID' if it is an orphan",
)
SERVED = is_(
    "agents.homeless", 0,
    "no live agent can take {agents_homeless_names} over: start an L3 agent or a DHCP agent on another host first",
)

#: In the order in which an operator wants to hear of them.
GONE_FOR_GOOD = (
    CELLS_UP, CELL_CHOSEN, DOWN, SILENT, STILL, DATED, NO_SERVER, NO_MIGRATION, NO_VOLUME, NO_DOUBT, SERVED,
)
