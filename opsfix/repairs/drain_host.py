"""A host that is to be drained and still takes servers: disabled first."""

from __future__ import annotations

from opsfix.drain_steps import CloseCompute
from opsfix.guards import is_, one_of
from opsfix.repair import Repair

ONE = is_(
    "compute.cells", 1,
    "{compute_cells} cells have a host of this name, and nova's API does not tell their servers apart: drain it by hand",
)
READY = one_of(
    "compute.state", "up", "fenced",
    advice="nova-compute on {compute_id} is {compute_state}: servers move only from a host that is up, and are made anew"
    " elsewhere only once it is surely off: make sure that it is, and repeat with --fenced {compute_id}",
)

REPAIR = Repair(
    symptom="drain-host",
    means="nova may still send servers to the host",
    when=(is_("compute.enabled", True),),
    only_if=(ONE, READY),
    api=(CloseCompute(),),
    fixed_when=(is_("compute.enabled", False),),
)
