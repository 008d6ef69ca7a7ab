"""A volume in an operation that only cinder itself may end."""

from __future__ import annotations

from opsfix.guards import is_, is_not
from opsfix.repair import Repair

#: status -> what to do instead
NEXT = {
    "maintenance": "a migration of its data holds it: wait, or restart cinder-volume {volume_backend},"
    " or complete the migration as failed",
    "retyping": "a retype is going on: wait, or restart cinder-volume {volume_backend}",
    "backing-up": "a backup is going on: wait, or restart cinder-backup, which resets it",
    "restoring-backup": "a backup is being restored into it: wait, or restart cinder-backup, which resets it",
    "awaiting-transfer": "it is to change its owner ({volume_transfers} transfers pending): accept or delete the transfer that"
    " 'openstack volume transfer request list --all-projects' shows; with none left, 'openstack volume set --state available'",
    "managing": "cinder is taking it over: wait, or restart cinder-volume {volume_backend}",
    "unmanaging": "cinder is giving it up: wait, or restart cinder-volume {volume_backend}",
    "error_managing_deleting": "cinder failed to take it over and is forgetting it: wait, or restart cinder-volume {volume_backend}",
    "extending": "it is being extended: wait, or restart cinder-volume {volume_backend}",
    "reverting": "it is being reverted to a snapshot: wait, or restart cinder-volume {volume_backend}",
}

REPAIRS = (
    Repair(
        symptom="volume-in-operation",
        means="cinder is migrating the volume",
        when=(is_not("volume.migration", "none"),),
        only_if=(is_(
            "volume.migration", "none",
            "cinder is migrating it ({volume_migration}): wait, or end the migration with cinder's own tools",
        ),),
    ),
    *(
        Repair(
            symptom="volume-in-operation",
            means=f"the volume is {status}",
            when=(is_("volume.status", status),),
            only_if=(is_not("volume.status", status, advice),),
        )
        for status, advice in NEXT.items()
    ),
    *(
        Repair(
            symptom="volume-in-operation",
            means="a volume of a group is stuck",
            when=(is_("volume.status", status), is_not("volume.group", None)),
            only_if=(is_(
                "volume.group", None,
                "it belongs to group {volume_group}, whose members change together: repair it with cinder's group commands",
            ),),
        )
        for status in ("attaching", "detaching", "reserved", "creating", "deleting", "error_deleting", "uploading", "downloading")
    ),
)
