"""One attachment that no server uses, and what is left of the volume without it."""

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
from tests.sql.cases.steps import meanwhile, named, of_row, seen, without
from tests.sql.world import LONG_AGO, NOW, World

STATUS = "volume.status is one of attaching, detaching, reserved, in-use, available"
NOT_MIGRATED = "volume.migration is none"
ATTACHMENT = "stale.attachment is not none"
ATTACHMENT_STATUS = "stale.status is not none"
SERVER, OTHER_SERVER = "5e4e4000-0000-4000-8000-00000000000a", "5e4e4000-0000-4000-8000-00000000000b"


def seed(w: World) -> None:
    """In-use through one attachment, whose server is gone."""
    volume_id = volume(w, "volume", status="in-use", attach_status="attached", multiattach=1)
    stale = attachment(w, "stale", volume_id, instance_uuid=SERVER)
    attachment(w, "removed", volume_id, attach_status="attached", deleted=1, deleted_at=LONG_AGO)
    w.add("spec", "attachment_specs", attachment_id=stale, key="k", value="v", updated_at=LONG_AGO)
    w.add("old spec", "attachment_specs", attachment_id=stale, key="k", deleted=1, deleted_at=LONG_AGO)
    surroundings(w, volume_id)
    bystander(w, "in-use")
    w.params = {
        "volume_id": volume_id, "volume_status": "in-use", "attachment_id": stale, "attachment_status": "attached",
        "server_id": SERVER,
    }
    w.expect("stale", deleted=1, deleted_at=NOW, detach_time=NOW, attach_status="detached")
    w.expect("spec", deleted=1, deleted_at=NOW)
    w.expect("volume", status="available", attach_status="detached")


def remaining(status: str, attach_status: str, *others: str, **columns: object) -> Step:
    """Other attachments stay, and the volume ends as cinder's volume_detached would leave it."""

    def step(w: World) -> None:
        for number, other in enumerate(others):
            attachment(w, f"remaining {number}", w["volume"]["id"], attach_status=other, **columns)
        w.expect("volume", status=status, attach_status=attach_status)

    return step


def attachment_seen(status: str) -> Step:
    """The attachment has this status, and had it when it was read."""
    return seen("stale", "attach_status", status, "attachment_status")


def nothing_to_recompute(w: World) -> None:
    """A volume that is available already: its row matches and stays as it is."""
    status_seen("available")(w)
    w.change("volume", attach_status="detached")
    attachment_seen("error_attaching")(w)


def moved_to_the_other_volume(w: World) -> None:
    """The attachment is another volume's."""
    w.change("stale", volume_id=w["other volume"]["id"])


CASE = Case(
    file="volume_attachment_orphaned.cinder",
    tables=TABLES,
    seed=seed,
    variants={
        **{f"volume {status}": status_seen(status) for status in ("attaching", "detaching", "reserved", "available")},
        **{f"attachment {s}": attachment_seen(s) for s in ("attaching", "detaching", "reserved", "error_attaching")},
        "a second one attached": remaining("in-use", "attached", "attached", instance_uuid=OTHER_SERVER),
        "a second one of the same server": remaining("in-use", "attached", "attached", instance_uuid=SERVER),
        "a second one attaching": remaining("attaching", "attaching", "attaching"),
        "a second one detaching": remaining("detaching", "detaching", "detaching"),
        "a second one reserved": remaining("reserved", "reserved", "reserved", instance_uuid=None),
        "a second one in error": remaining("available", "detached", "error_attaching"),
        "a second one in error of detaching": remaining("available", "detached", "error_detaching"),
        "one attached, one in error": remaining("in-use", "attached", "error_attaching", "attached"),
        "one reserved, one attaching": remaining("attaching", "attaching", "reserved", "attaching"),
        "one detaching, one attached": remaining("in-use", "attached", "detaching", "attached", "reserved"),
        **{f"migration {s!r}": meanwhile("volume", migration_status=s) for s in NOT_MIGRATING},
        "nothing to recompute": nothing_to_recompute,
        "of no server": seen("stale", "instance_uuid", None, "server_id"),
        "neither worker nor metadata": without("worker", "mode", "spec"),
    },
    flips=(
        Flip("volume became detaching", STATUS, meanwhile("volume", status="detaching")),
        Flip("volume became error", STATUS, meanwhile("volume", status="error")),
        *(Flip(f"volume seen {s}", STATUS, status_seen(s)) for s in ("error", "uploading", "maintenance")),
        Flip("volume's status not seen", STATUS, named(volume_status=None)),
        *(Flip(f"migration {s}", NOT_MIGRATED, meanwhile("volume", migration_status=s)) for s in MIGRATING),
        Flip("attachment deleted", ATTACHMENT, meanwhile("stale", deleted=1, deleted_at=LONG_AGO)),
        Flip("no attachment", ATTACHMENT, named(attachment_id=None)),
        Flip("no such attachment", ATTACHMENT, named(attachment_id="none")),
        Flip("another volume's attachment", ATTACHMENT, of_row("attachment_id", "other attachment")),
        Flip("attachment of another volume", ATTACHMENT, moved_to_the_other_volume),
        Flip("attachment of another server", ATTACHMENT, meanwhile("stale", instance_uuid=OTHER_SERVER)),
        Flip("attachment of no server", ATTACHMENT, meanwhile("stale", instance_uuid=None)),
        Flip("attachment of a server and seen without", ATTACHMENT, named(server_id=None)),
        Flip("attachment became detaching", ATTACHMENT_STATUS, meanwhile("stale", attach_status="detaching")),
        Flip("attachment became attached", ATTACHMENT_STATUS, named(attachment_status="reserved")),
        Flip("attachment's status not seen", ATTACHMENT_STATUS, named(attachment_status=None)),
        Flip("attachment's status gone", ATTACHMENT_STATUS, meanwhile("stale", attach_status=None)),
        Flip("volume deleted", None, meanwhile("volume", deleted=1)),
        Flip("no such volume", None, named(volume_id="none")),
        Flip("another volume", None, of_row("volume_id", "other volume")),
    ),
)
