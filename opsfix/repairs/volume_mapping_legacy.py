"""A server maps the volume in nova's old way, without an attachment of cinder."""

from __future__ import annotations

from opsfix.guards import is_, is_not, one_of
from opsfix.repair import Repair
from opsfix.volumes import ATTACH_STATES

REPAIR = Repair(
    symptom="volume-mapping-legacy",
    means="nova maps the volume without an attachment id: a mapping from before Queens, or an attach that just begins",
    when=(is_not("mappings.legacy", 0), one_of("volume.status", *ATTACH_STATES)),
    only_if=(is_(
        "mappings.legacy", 0,
        "server {server_id} maps it without an attachment id: restart or migrate the server first, nova then makes one",
    ),),
)
