"""The API says 404, and a cell has a live row of the server: its mapping is lost or leads elsewhere."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.repair import Fallback, Repair
from opsfix.repairs.instance_common import (
    DELETED_WITH_IT,
    GONE,
    NO_RESIZE,
    NOT_WRITTEN,
    ONE_ROW,
    SETTLED,
    SOFT_DELETE,
    UNLOCKED,
)

HIDDEN = is_("server.state", "hidden")
REFUSALS = (ONE_ROW, UNLOCKED, NO_RESIZE, SETTLED, NOT_WRITTEN)

REPAIRS = (
    Repair(
        symptom="instance-hidden",
        means="its mapping names no cell, though a cell has the server: mended, nova itself can delete it",
        when=(HIDDEN, is_("mapping.mendable", True)),
        only_if=REFUSALS,
        loses=DELETED_WITH_IT,
        fixed_when=(is_("server.state", "present"),),
        fallback=Fallback(
            "instance_hidden.nova_api",
            (is_not("mapping.id", None, in_sql=True), is_("mapping.mendable", True, in_sql=True), *REFUSALS),
        ),
    ),
    Repair(
        symptom="instance-hidden",
        means="a cell has the server, and the API does not find it there",
        when=(HIDDEN, is_("mapping.mendable", False)),
        only_if=REFUSALS,
        fixed_when=(GONE,),
        fallback=SOFT_DELETE,
    ),
)
