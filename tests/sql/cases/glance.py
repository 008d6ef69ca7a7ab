"""Rows that the cases of glance's images share."""

from __future__ import annotations

from typing import Any

from tests.sql.world import LONG_AGO, World

TABLES = ("images", "image_locations", "image_properties", "image_members", "image_tags")
IMAGE, OTHER_IMAGE = "1a6e0000-0000-4000-8000-00000000000a", "1a6e0000-0000-4000-8000-00000000000b"
STATUSES = ("queued", "saving", "uploading", "importing", "active", "killed", "deactivated", "deleted")
DELETED = {"deleted": 1, "deleted_at": LONG_AGO}


def image(w: World, name: str, image_id: str, /, **values: Any) -> str:
    """An image as glance stores it; its id."""
    defaults = {"name": name, "status": "queued", "owner": "owner", "created_at": LONG_AGO, "updated_at": LONG_AGO}
    return str(w.add(name, "images", id=image_id, **defaults | values)["id"])


def location(w: World, name: str, image_id: str, status: str, **values: Any) -> None:
    """Where data of an image lies, or lay."""
    defaults = {"value": f"file:///images/{image_id}", "meta_data": '{"store": "fs"}', "created_at": LONG_AGO}
    w.add(name, "image_locations", image_id=image_id, status=status, **defaults | values)


def belongings(w: World, image_id: str, prefix: str) -> tuple[str, ...]:
    """What hangs on an image, live and removed; the names of the live rows."""
    w.add(f"{prefix}property", "image_properties", image_id=image_id, name="os_distro", value="debian", created_at=LONG_AGO)
    w.add(f"{prefix}member", "image_members", image_id=image_id, member="a", can_share=0, created_at=LONG_AGO)
    w.add(f"{prefix}tag", "image_tags", image_id=image_id, value="tag", created_at=LONG_AGO)
    w.add(f"{prefix}old property", "image_properties", image_id=image_id, name="old", created_at=LONG_AGO, **DELETED)
    w.add(f"{prefix}old member", "image_members", image_id=image_id, member="a", can_share=0, created_at=LONG_AGO, **DELETED)
    w.add(f"{prefix}old tag", "image_tags", image_id=image_id, value="tag", created_at=LONG_AGO, **DELETED)
    return (f"{prefix}property", f"{prefix}member", f"{prefix}tag")
