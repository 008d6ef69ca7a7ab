"""glance as far as a purge sees it, beside the fake nova and cinder, with what its API and its tables really do.

Sources: glance/api/v2/images.py (delete), glance/domain (the statuses), glance/db (remove), glance/scrubber.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from opsfix.errors import CloudRefused
from opsfix.resources import Image, Server, Store, Volume
from tests.fakes.cloud import FakeCloud
from tests.fakes.databases import FakeDatabases, Rows
from tests.fakes.fallbacks import Change
from tests.fakes.rows import ago

#: glance/domain: what may become 'deleted'; with delayed_delete, what may become 'pending_delete'.
DELETABLE = ("queued", "saving", "uploading", "importing", "active", "killed", "pending_delete", "deactivated")


@dataclass(eq=False)
class ImageRow:
    """glance's ``images``, with the statuses of its locations."""

    id: str
    name: str = "image"
    project_id: str = "project"
    status: str = "active"
    visibility: str = "private"
    protected: bool = False
    size: int = 65536
    updated_at: datetime = field(default_factory=lambda: ago(86400))
    properties: dict[str, str] = field(default_factory=dict)
    locations: list[str] = field(default_factory=lambda: ["active"])
    deleted: bool = False


class FakeGlance:
    """See ports.Images. ``store``: 'ok', 'in use' or 'forbidden'; ``known`` are the stores that glance has."""

    def __init__(self, cloud: ImageCloud) -> None:
        self._cloud = cloud
        self.rows: dict[str, ImageRow] = {}
        self.tasks: dict[str, datetime] = {}
        self.known = ["fs"]
        self.store = "ok"
        self.delayed_delete = False

    def _found(self, image_id: str) -> ImageRow:
        row = self.rows.get(image_id)
        if row is None or row.deleted:
            raise CloudRefused(404, f"No image found with ID {image_id}")
        return row

    def image(self, image_id: str) -> Image | None:
        """See ports.Images."""
        row = self.rows.get(image_id)
        return self._cloud._read("image", lambda: None if row is None or row.deleted else _image(row))

    def images(self, *, name: str | None = None, base: str | None = None) -> Iterator[Image]:
        """See ports.Images."""
        return iter(self._cloud._read("images", lambda: [
            _image(r) for r in self.rows.values()
            if not r.deleted and name in (None, r.name) and base in (None, r.properties.get("base_image_ref"))
        ]))

    def newest(self, count: int) -> list[Image]:
        """See ports.Images."""
        return [*self.images()][:count]

    def task_changed_at(self, task_id: str) -> datetime | None:
        """See ports.Images."""
        return self.tasks.get(task_id)

    def stores(self) -> list[Store]:
        """See ports.Images."""
        return [Store(s, f"data_dir /{s}") for s in self.known]

    def protect(self, image_id: str, *, protected: bool) -> None:
        """See ports.Images."""
        self._cloud._change("protect", lambda: setattr(self._found(image_id), "protected", protected))

    def delete_image(self, image_id: str) -> None:
        """See ports.Images."""
        self._cloud._change("delete_image", lambda: self._delete(self._found(image_id)))

    def _delete(self, row: ImageRow) -> None:
        if row.protected:
            raise CloudRefused(403, f"Image {row.id} is protected and cannot be deleted.")
        delayed = self.delayed_delete and "active" in row.locations
        if row.status not in DELETABLE or (delayed and row.status != "active"):
            to = "pending_delete" if delayed else "deleted"
            raise CloudRefused(400, f"Image status transition from {row.status} to {to} is not allowed")
        if self.store == "in use" and not delayed:
            raise CloudRefused(409, f"Image {row.id} could not be deleted because it is in use: a clone")
        if self.store == "forbidden" and not delayed:
            raise CloudRefused(403, "You cannot delete file")
        row.status = "pending_delete" if delayed else "deleted"
        row.locations = [row.status if x == "active" else x for x in row.locations]
        row.deleted = True

    def forget_cached(self, image_id: str) -> None:
        """See ports.Images."""
        raise CloudRefused(404, "Caching via API is not supported at this site.")


def _image(row: ImageRow) -> Image:
    stores = ("fs",) if "active" in row.locations else ()
    return Image(
        row.id, row.name, row.project_id, row.status, row.visibility, row.protected, row.size,
        updated_at=row.updated_at, stores=stores, properties=row.properties,
    )


class ImageCloud(FakeCloud):
    """A cloud with images. ``booted``: server -> image; ``shelved``: server -> the image that is its disk; ``building``: a
    server that waits for a copy of an image -> the image; ``cached``: volume -> image; ``made``: what is known of a volume
    beyond the fake cinder's row."""

    def __init__(self) -> None:
        super().__init__()
        self.glance = FakeGlance(self)
        self.booted: dict[str, str] = {}
        self.shelved: dict[str, str] = {}
        self.building: dict[str, str] = {}
        self.cached: dict[str, str] = {}
        self.made: dict[str, dict[str, Any]] = {}

    @property
    def images(self) -> FakeGlance:
        """See ports.Cloud."""
        return self.glance

    def add_image(self, *, age: float = 86400, **columns: Any) -> str:
        """An image that changed so many seconds ago; without data unless it is one of those that have."""
        row = ImageRow(f"image-{self.world.number():05}", updated_at=ago(age), **columns)
        if "locations" not in columns and row.status not in ("active", "deactivated"):
            row.locations = []
        self.glance.rows[row.id] = row
        return row.id

    def servers_of(self, image_id: str) -> Iterator[Server]:
        """See ports.Cloud."""
        return (s for s in self.servers() if self.booted.get(s.id) == image_id)

    def servers_building(self) -> Iterator[Server]:
        """See ports.Cloud."""
        return (replace(s, image_id=self.booted.get(s.id)) for s in self.servers() if s.vm_state == "building")

    def volumes(self, *, status: str | None = None, name: str | None = None) -> Iterator[Volume]:
        """See ports.Cloud."""
        return (replace(v, **{"size": 1} | self.made.get(v.id, {})) for v in super().volumes(status=status, name=name))


class ImageDatabases(FakeDatabases):
    """The same with glance's tables, and the fallbacks for them as their WHERE would match."""

    def __init__(self, cloud: ImageCloud, names: tuple[str, ...] = ("glance", "cinder", "nova_api", "nova")):
        super().__init__(cloud, names)
        self.cloud = cloud

    def _read_image(self, image_id: str, cell: str | None) -> Rows:
        row = self.cloud.glance.rows.get(image_id)
        if row is None:
            return []
        kept = {
            "name": row.name, "owner": row.project_id, "status": row.status, "deleted": int(row.deleted),
            "deleted_at": row.updated_at.replace(tzinfo=None) if row.deleted else None,
        }
        return [
            kept | {"location_id": n if x else None, "location_status": x, "location_deleted": x and int(x != "active")}
            for n, x in enumerate(row.locations or [None])  # type: ignore[list-item]
        ]

    def _read_images_waiting(self, image_name: str, cell: str | None) -> Rows:
        rows = self.cloud.glance.rows.values()
        return [
            {"id": r.id, "owner": r.project_id} for r in rows
            if r.name == image_name and r.deleted and r.status == "pending_delete"
        ]

    def _read_image_users(self, image_id: str, cell: str | None) -> Rows:
        of = {"boots": self.cloud.booted, "keeps": self.cloud.shelved, "copies": self.cloud.building}
        found = [{"uuid": s.id} | {use: int(has.get(s.id) == image_id) for use, has in of.items()} for s in self._servers(cell)]
        return [row for row in found if any(row[use] for use in of)]

    def _read_image_builds(self, image_id: str, cell: str | None) -> Rows:
        return []

    def _read_image_cache(self, image_id: str, cell: str | None) -> Rows:
        return [{"volume_id": v} for v, i in self.cloud.cached.items() if i == image_id]

    def _changes(self, name: str, params: Mapping[str, Any]) -> list[Change]:
        row = self.cloud.glance.rows.get(params["image_id"])
        if name == "image_purge.glance":
            fits = row and not row.deleted and not row.protected and row.status == params["image_status"]
            fits = fits and row and row.status != "pending_delete" and not {"active", "pending_delete"} & set(row.locations)
            none = Change(0)
            return [_end(row) if fits else none, none, none, none, none]
        fits = row and row.deleted and row.status == "pending_delete" and set(row.locations) <= {"deleted"}
        return [_end(row) if fits else Change(0)]


def _end(row: ImageRow | None) -> Change:
    assert row is not None

    def end() -> None:
        row.status, row.deleted = "deleted", True

    return Change(1, end)
