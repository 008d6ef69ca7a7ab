"""A server maps the volume twice: the mapping stays whose attachment cinder has."""

from __future__ import annotations

from opsfix.guards import enforced, is_, is_not
from opsfix.repair import Fallback, Repair
from opsfix.repairs.mapping_common import HELD_IN_SQL
from opsfix.repairs.volume_common import ANSWERED, IDLE, NOT_ROOT, SETTLED

ONE_ATTACHED = is_(
    "duplicate.attachments", 1,
    "cinder has {duplicate_attachments} attachments for these mappings, so which of them is the true one is not recorded:"
    " detach the volume from server {duplicate_server} and attach it again",
)
SECOND_DISK = is_(
    "duplicate.guest", "absent",
    "the guest of server {duplicate_server} {duplicate_guest}: stop the server, then repeat",
)

REPAIR = Repair(
    symptom="mapping-duplicate",
    means="a server maps the volume twice, and cinder has one attachment",
    when=(is_not("duplicate.server", None),),
    only_if=(ANSWERED, NOT_ROOT, SETTLED, IDLE, ONE_ATTACHED, SECOND_DISK),
    fixed_when=(is_("duplicate.server", None),),
    fallback=Fallback(
        "mapping_duplicate.nova",
        (
            *HELD_IN_SQL, enforced(IDLE), is_not("duplicate.kept", None, in_sql=True), ONE_ATTACHED, SECOND_DISK, ANSWERED,
        ),
        one_of_many=True,
    ),
)
