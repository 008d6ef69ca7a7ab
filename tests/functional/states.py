"""Every broken state of the lab, and how it must end: in the report, and in the tables of cinder and nova."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FREE = {"status": "available", "attach_status": "detached", "attachments": [], "mapped": []}
IN_USE = {"status": "in-use", "attach_status": "attached", "attachments": ["attached"], "mapped": [True]}
GONE = {"status": "deleted"}


@dataclass(frozen=True)
class Case:
    """``end`` None: the volume must be exactly as it was. ``says`` must stand in the reason."""

    state: str
    finding: str | None
    outcome: str
    code: int
    end: dict[str, Any] | None
    says: str = ""
    arguments: tuple[str, ...] = ()
    host: str | None = None

    def __str__(self) -> str:
        return " ".join((self.state, *self.arguments))


def _repaired(state: str, finding: str, end: dict[str, Any], *arguments: str) -> Case:
    return Case(state, finding, "repaired", 0, end, arguments=arguments)


def _refused(state: str, finding: str, says: str, *arguments: str) -> Case:
    return Case(state, finding, "refused", 5, None, says, arguments)


ALIVE = (
    _repaired("attaching", "volume-attach-interrupted", FREE),
    _repaired("detaching", "volume-detach-hung", FREE),
    _repaired("detaching-nobody", "volume-abandoned", FREE),
    _repaired("attaching-nobody", "volume-abandoned", FREE),
    _repaired("reserved-nobody", "volume-abandoned", FREE),
    _repaired("in-use-nobody", "volume-abandoned", FREE),
    _repaired("reserved", "volume-attachment-orphaned", FREE),
    _repaired("server-gone", "volume-attachment-orphaned", FREE),
    _repaired("available-error-attaching", "volume-attachment-orphaned", FREE),
    _repaired("multiattach-gone", "volume-attachment-orphaned", IN_USE),
    _repaired("two-attachments", "volume-attachment-orphaned", IN_USE),
    _repaired("available-mapped", "volume-mapping-dangling", FREE),
    _repaired("available-attached", "volume-attached-not-in-use", IN_USE),
    _repaired("boot-detaching", "volume-detach-impossible", IN_USE),
    _repaired("creating", "volume-creating", {"status": "error"}),
    _repaired("deleting", "volume-deleting", GONE),
    _repaired("error_deleting", "volume-delete-failed", GONE),
    Case("error_deleting-failing", "volume-delete-failed", "failed", 4, {"status": "error_deleting"}, "log of cinder-volume"),
    Case("shelved", None, "healthy", 0, None),
    _refused("in-use-mapped", "volume-mapping-dangling", "nova-manage volume_attachment refresh"),
    _refused("uploading-hung", "volume-image-copy", "cinder-volume"),
    _refused("awaiting-transfer", "volume-in-operation", "transfer"),
    _refused("maintenance", "volume-in-operation", "migration"),
    _refused("backing-up", "volume-in-operation", "backup"),
    _refused("restoring-backup", "volume-in-operation", "backup"),
    _refused("retyping", "volume-in-operation", "retype"),
    _refused("extending", "volume-in-operation", "extended"),
    _refused("managing", "volume-in-operation", "taking it over"),
    _refused("migrating", "volume-in-operation", "migrating"),
    _refused("group", "volume-in-operation", "group"),
)

#: A host or a backend is dead.
DEAD = (
    _refused("attaching-dead", "volume-attach-interrupted", "--fenced gpu-02"),
    _refused("detaching-dead", "volume-detach-hung", "--fenced gpu-02"),
    _refused("server-gone-dead", "volume-attachment-orphaned", "--fenced"),
    _repaired("server-gone-dead", "volume-attachment-orphaned", FREE, "--fenced", "gpu-02"),
    Case(
        "server-gone-backend-dead", "volume-attachment-orphaned", "needs_commit", 3, None, "--commit",
    ),
    _repaired("server-gone-backend-dead", "volume-attachment-orphaned", FREE, "--commit"),
    Case("attaching-dead", "volume-host-fenced", "needs_commit", 3, None, "--commit", ("--fenced", "gpu-02")),
    _repaired("attaching-dead", "volume-host-fenced", FREE, "--fenced", "gpu-02", "--commit"),
    _repaired("detaching-dead", "volume-host-fenced", FREE, "--fenced", "gpu-02", "--commit"),
    _refused("deleting-dead", "volume-deleting", "start it"),
    _repaired("creating-dead", "volume-creating", {"status": "error"}),
    _refused("uploading-dead", "volume-image-copy", "restart cinder-volume"),
    _refused("downloading-dead", "volume-image-copy", "restart cinder-volume"),
)
