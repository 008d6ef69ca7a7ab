"""A live server for which placement counts nothing: its host looks emptier than it is."""

from __future__ import annotations

from opsfix.guards import is_
from opsfix.repair import Repair

REPAIR = Repair(
    symptom="placement-allocation-missing",
    means="a live server has no allocation, so that its host is given more than it can bear",
    when=(is_("server.allocation", "missing"),),
    only_if=(is_(
        "server.allocation", "held",
        "only nova can compute what it uses: 'nova-manage placement heal_allocations --instance {placement_id} --dry-run' shows"
        " it, and without --dry-run allocates it",
    ),),
)
