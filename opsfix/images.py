"""Collects what glance, nova and cinder know of one image, and states it as facts.

Sources of the rules: glance/api/v2/images.py (delete), glance/domain (which status may become which), glance/db
(remove: the status first, the row after), glance/scrubber.py, nova/compute/api.py and manager.py (shelve, snapshot),
cinder/volume/manager.py (image volume cache).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opsfix.guards import Unread
from opsfix.image_users import NO_USERS, counted, users_of
from opsfix.resources import Image
from opsfix.scene import Scene
from opsfix.subject import Look

#: Somebody may still be sending the data, or glance fetching it.
IN_FLIGHT = ("queued", "saving", "uploading", "importing")
#: glance's lock of an import, the stores that it still copies to, and the host that still computes the hash.
IMPORTING = ("os_glance_import_task", "os_glance_importing_to_stores", "os_glance_hash_op_host")


@dataclass(frozen=True)
class Location:
    """Where data of an image lies, by glance's table. ``status`` is 'active', 'pending_delete' or 'deleted'."""

    status: str
    live: bool


@dataclass(frozen=True)
class Record:
    """An image as glance's table has it; times are aware UTC."""

    name: str
    project_id: str
    status: str
    deleted: bool
    deleted_at: datetime | None
    locations: tuple[Location, ...]

    @property
    def referenced(self) -> int:
        """How many locations may still have data."""
        return sum(x.status == "pending_delete" or (x.live and x.status == "active") for x in self.locations)


def _record(scene: Scene, image_id: str) -> Record | None:
    """The image's row, None where there is none; deleted ones are kept by glance."""
    assert scene.databases is not None
    rows = scene.databases.read("read_image.glance", {"image_id": image_id})
    if not rows:
        return None
    row = rows[0]
    return Record(
        name=row["name"] or "",
        project_id=row["owner"] or "",
        status=row["status"],
        deleted=bool(row["deleted"]),
        deleted_at=row["deleted_at"].replace(tzinfo=UTC) if row["deleted_at"] else None,
        locations=tuple(
            Location(r["location_status"], not r["location_deleted"]) for r in rows if r["location_status"] is not None
        ),
    )


class Images:
    """Images as the engine's subject (subject.Subject), for a purge."""

    type = "image"

    def __init__(self, *, unprotect: bool = False):
        """``unprotect``: the operator wants protected ones gone too."""
        self.unprotect = unprotect
        #: What glance called each one when this run first looked.
        self._shown: dict[str, str] = {}

    def look(self, scene: Scene, subject_id: str) -> Look | None:
        """See subject.Subject. An image that only glance's table has is looked at as well: it waits for glance-scrubber,
        or is deleted."""
        image = scene.cloud.images.image(subject_id)
        record = _record(scene, subject_id) if scene.has("glance") else None
        if image is not None:
            self._shown.setdefault(image.id, image.status)
            facts = self._facts(subject_id, image, record, scene) | users_of(image, scene)
            return Look(image.id, image.name, image.project_id, facts, f"still {image.status}")
        if record is None:
            return None
        facts = self._facts(subject_id, None, record, scene) | NO_USERS
        return Look(subject_id, record.name, record.project_id, facts, self._end(subject_id, record, scene), _already(record))

    def _facts(self, image_id: str, image: Image | None, record: Record | None, scene: Scene) -> dict[str, Any]:
        changed_at = _changed_at(image, scene) if image else None
        status = image.status if image else record.status if record else "deleted"
        facts = {
            "image.id": image_id,
            "image.status": status,
            "image.shown": image is not None,
            "image.live": image is not None or bool(record and not record.deleted),
            "image.gone": image is None and (record is None or record.deleted),
            "image.waits": image is None and bool(record and record.deleted) and status == "pending_delete",
            "image.left_waiting": image_id not in self._shown,
            "image.found_as": self._shown.get(image_id),
            "image.moved": image is not None and image.status != self._shown[image_id],
            "image.protected": bool(image and image.protected),
            "image.kept": bool(image and image.protected and not self.unprotect),
            "image.idle": not (image and _in_flight(image)) or scene.idle(changed_at),
            "image.changed_at": changed_at.isoformat() if changed_at else None,
            "image.deleted_at": record.deleted_at.isoformat() if record and record.deleted_at else None,
            "locations.referenced": record.referenced if record else _no_record(scene),
            "locations.unfinished": sum(x.status != "deleted" for x in record.locations) if record else 0,
        }
        return facts | _store_facts(image, scene)

    def _end(self, image_id: str, record: Record, scene: Scene) -> str:
        """What became of one that is gone; of an upload that was cut off, also where its beginning may be left."""
        if not record.deleted:
            return f"hidden from the API, its row is {record.status}"
        if record.status == "pending_delete":
            return "deleted; its data stays in the store until glance-scrubber has run"
        if self._shown.get(image_id) not in ("saving", "importing"):
            return "deleted"
        places = ", ".join(f"{s.id}{f' ({s.place})' if s.place else ''}" for s in scene.cloud.images.stores())
        return (
            "deleted; what had been uploaded of it may be left as a file or object with its id, which glance does not"
            f" know: look in {f'the stores {places}' if places else 'its store'}"
        )

    def named(self, scene: Scene, name: str) -> list[tuple[str, str]]:
        """See subject.Subject. Those that wait for glance-scrubber are found by glance's table."""
        found = {i.id: i.project_id for i in scene.cloud.images.images(name=name)}
        if scene.databases is not None and scene.has("glance"):
            rows = scene.databases.read("read_images_waiting.glance", {"image_name": name})
            found |= {str(r["id"]): str(r["owner"] or "") for r in rows}
        return list(found.items())

    def gone(self, subject_id: str) -> Mapping[str, Any]:
        """See subject.Subject."""
        return {"image.id": subject_id, "image.shown": False, "image.live": False, "image.gone": True, "image.waits": False}


def _already(record: Record) -> str:
    when = f" at {record.deleted_at:%Y-%m-%d %H:%M:%S} UTC" if record.deleted_at else ""
    if record.referenced:
        return f"it was deleted{when}, and its table still names {record.referenced} places where its data may be: look there"
    return f"it was deleted{when}, and nothing is left to do"


def _no_record(scene: Scene) -> Unread | int:
    if scene.has("glance"):
        return Unread("glance's database has no row of it")
    return Unread("only glance's database tells, and it is not configured")


def _in_flight(image: Image) -> bool:
    return image.status in IN_FLIGHT or any(image.properties.get(p) for p in IMPORTING)


def _changed_at(image: Image, scene: Scene) -> datetime | None:
    """The last sign of life: an import tells of its progress in its task and not always in the image."""
    task = image.properties.get("os_glance_import_task")
    told = scene.cloud.images.task_changed_at(task) if task else None
    return max((t for t in (image.changed_at, told) if t), default=None)


def _store_facts(image: Image | None, scene: Scene) -> dict[str, Any]:
    """Stores that glance no longer has: it would forget their data without a word (UnsupportedBackend)."""
    named = set(image.stores) if image else set()
    known = {s.id for s in scene.cloud.images.stores()} if named else set()
    return counted("strange_stores", named - known if known else ())
