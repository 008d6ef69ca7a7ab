"""The second mapping of a volume in one server."""

from __future__ import annotations

from tests.sql.cases import Case, Flip, Step, nova
from tests.sql.cases.nova import ATTACHMENT, CONNECTED, OTHER_SERVER, OTHER_VOLUME, SERVER, VOLUME, mapping
from tests.sql.cases.steps import meanwhile, named, of_row
from tests.sql.world import LONG_AGO, World

IDLE = "server.task_state is none"
KEPT = "duplicate.kept is not none"
TRUE_ONE = "a77ac000-0000-4000-8000-0000000000aa"


def seed(w: World) -> None:
    """Two rows of one server and volume; cinder has the attachment of the other one."""
    nova.seed(w, connection_info=CONNECTED)
    mapping(w, "kept", SERVER, VOLUME, attachment_id=TRUE_ONE, connection_info=CONNECTED)
    mapping(w, "kept elsewhere", OTHER_SERVER, VOLUME, attachment_id=TRUE_ONE, connection_info=CONNECTED)
    w.params |= {
        "device": "/dev/vdb", "kept_id": w["kept"]["id"], "kept_attachment": TRUE_ONE, "vm_state": "active", "power_state": 1,
    }


def was(**columns: object) -> Step:
    """The server is so, and was seen so."""

    def step(w: World) -> None:
        w.change("server", **columns)
        w.params |= columns

    return step


def same_attachment(w: World) -> None:
    """Both rows name the attachment that cinder has."""
    w.change("mapping", attachment_id=TRUE_ONE)
    w.params["attachment_id"] = TRUE_ONE


def itself(w: World) -> None:
    """The row to be kept is the one to go."""
    w.params |= {"kept_id": w["mapping"]["id"], "kept_attachment": ATTACHMENT}


CASE = Case(
    file="mapping_duplicate.nova",
    tables=nova.TABLES,
    seed=seed,
    variants={
        "no attachment": nova.VARIANTS["no attachment"],
        "the same attachment": same_attachment,
        "no device": lambda w: (w.change("mapping", device_name=None), w.params.update(device=None)),
        **{f"boot index {index}": meanwhile("mapping", boot_index=index) for index in (-1, 1, 2)},
        **{f"kept with boot index {index}": meanwhile("kept", boot_index=index) for index in (-1, 1)},
        "stopped": was(vm_state="stopped", power_state=4),
        "its power is not known": was(power_state=None),
    },
    flips=(
        *nova.FLIPS,
        Flip("seen under construction", nova.SETTLED, was(vm_state="building")),
        *(Flip(f"busy {s}", IDLE, meanwhile("server", task_state=s)) for s in ("rebooting", "deleting", "")),
        Flip("another device", nova.MAPPED, meanwhile("mapping", device_name="/dev/vdc")),
        Flip("its device was not read", nova.MAPPED, named(device=None)),
        Flip("the kept one is gone", KEPT, lambda w: w.change("kept", deleted=w["kept"]["id"], deleted_at=LONG_AGO)),
        Flip("the kept one was not read", KEPT, named(kept_id=None)),
        Flip("none but itself", KEPT, itself),
        Flip("the kept one is another server's", KEPT, of_row("kept_id", "kept elsewhere")),
        Flip("the kept one went to another server", KEPT, meanwhile("kept", instance_uuid=OTHER_SERVER)),
        Flip("the kept one maps another volume", KEPT, meanwhile("kept", volume_id=OTHER_VOLUME)),
        Flip("the kept one got another attachment", KEPT, meanwhile("kept", attachment_id=ATTACHMENT)),
        Flip("the kept one lost its attachment", KEPT, meanwhile("kept", attachment_id=None)),
        Flip("the kept one's attachment was not read", KEPT, named(kept_attachment=None)),
        Flip("the kept one is a boot disk", nova.NOT_ROOT, meanwhile("kept", boot_index=0)),
        Flip("was stopped", None, meanwhile("server", vm_state="stopped")),
        Flip("another power state", None, meanwhile("server", power_state=4)),
    ),
)
