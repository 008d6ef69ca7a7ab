"""A volume that cinder calls busy and that nobody has."""

from __future__ import annotations

from tests.sql.cases import Case, Flip, Step
from tests.sql.cases.cinder import (
    MIGRATING,
    NOT_MIGRATING,
    TABLES,
    attachment,
    bystander,
    status_seen,
    surroundings,
    volume,
)
from tests.sql.cases.steps import meanwhile, named, of_row, without
from tests.sql.world import LONG_AGO, World

STATUS = "volume.status is one of attaching, detaching, reserved, in-use"
NO_ATTACHMENT = "attachments.live is 0"
NOT_MIGRATED = "volume.migration is none"


def seed(w: World) -> None:
    """Detaching, and the only attachment was removed long ago."""
    volume_id = volume(w, "volume", status="detaching", attach_status="attached")
    attachment(w, "removed", volume_id, deleted=1, deleted_at=LONG_AGO)
    surroundings(w, volume_id)
    bystander(w, "detaching")
    w.params = {"volume_id": volume_id, "volume_status": "detaching"}
    w.expect("volume", status="available", attach_status="detached")


def attached(**columns: object) -> Step:
    """Somebody made an attachment of the volume."""
    return lambda w: attachment(w, "new", w["volume"]["id"], **columns) and None


CASE = Case(
    file="volume_abandoned.cinder",
    tables=TABLES,
    seed=seed,
    variants={
        **{f"seen {status}": status_seen(status) for status in ("attaching", "reserved", "in-use")},
        **{f"migration status {status!r}": meanwhile("volume", migration_status=status) for status in NOT_MIGRATING},
        "neither worker nor metadata": without("worker", "mode"),
    },
    flips=(
        Flip("became available", STATUS, meanwhile("volume", status="available")),
        Flip("attaching where detaching was seen", STATUS, meanwhile("volume", status="attaching")),
        *(Flip(f"seen {s}", STATUS, status_seen(s)) for s in ("available", "error", "uploading", "maintenance")),
        Flip("status gone", STATUS, meanwhile("volume", status=None)),
        Flip("status not seen", STATUS, named(volume_status=None)),
        Flip("attached", NO_ATTACHMENT, attached()),
        Flip("reserved for nobody", NO_ATTACHMENT, attached(attach_status="reserved", instance_uuid=None)),
        Flip("attachment in error", NO_ATTACHMENT, attached(attach_status="error_attaching")),
        *(Flip(f"migration {s}", NOT_MIGRATED, meanwhile("volume", migration_status=s)) for s in MIGRATING),
        Flip("deleted", None, meanwhile("volume", deleted=1, deleted_at=LONG_AGO)),
        Flip("deleted and still detaching", None, meanwhile("volume", deleted=1)),
        Flip("no such volume", None, named(volume_id="none")),
        Flip("no volume", None, named(volume_id=None)),
        Flip("a volume that has an attachment", None, of_row("volume_id", "other volume")),
    ),
)
