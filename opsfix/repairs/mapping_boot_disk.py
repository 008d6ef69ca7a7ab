"""A server boots from a volume that cinder has no attachment of: never cut, and never to be rebooted."""

from __future__ import annotations

from opsfix.guards import is_
from opsfix.repair import Repair

REPAIR = Repair(
    symptom="mapping-boot-disk",
    means="a server boots from the volume, and cinder does not have the attachment",
    when=(is_("volume.mapping_dangling", True), is_("dangling.root", True)),
    only_if=(is_(
        "dangling.root", False,
        "it is the boot disk of server {server_id}, which is never cut: stop the server (no reboot) and run {mapping_keep}",
    ),),
)
