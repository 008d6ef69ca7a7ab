"""Who still needs an image: servers of every cell, shelved ones, builds, volumes on the way, other images, caches.

Absence counts only from complete answers: every cell up, every page read. What an API does not tell, the database does
where it is configured; where neither does, whatever may need the image counts as needing it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opsfix.guards import Unread
from opsfix.resources import Image, Server, Volume
from opsfix.scene import Scene

GIB = 1024**3
SHELVED = ("shelved", "shelved_offloaded")
#: A volume of the cache that cinder can delete.
AT_REST = ("available", "error")
_NOT_READ = Unread("a cell of nova is down")

KINDS = ("servers", "shelved", "builds", "volumes", "uploads", "snapshots", "cached", "cached_odd")


def counted(name: str, ids: Iterable[str]) -> dict[str, Any]:
    """How many there are, and the first few for a sentence."""
    every = sorted(set(ids))
    shown = ", ".join(every[:5]) + (f" and {len(every) - 5} more" if len(every) > 5 else "")
    return {f"{name}.count": len(every), f"{name}.ids": shown}


#: Of an image that glance does not show, nobody can begin to use anything.
NO_USERS: dict[str, Any] = {"cells.up": True, "source.task_state": None, "source.id": None} | {
    key: value for kind in KINDS for key, value in counted(kind, ()).items()
} | {"cached.volume_ids": (), "cached.backends": "up"}


def users_of(image: Image, scene: Scene) -> dict[str, Any]:
    """All that needs the image, as facts. Raises CloudUnknown."""
    return _nova(image, scene) | _cinder(image, scene) | counted(
        "snapshots", (i.id for i in scene.cloud.images.images(base=image.id))
    ) | _cache(image, scene)


def _nova(image: Image, scene: Scene) -> dict[str, Any]:
    if not scene.cells_up():
        names = ("servers", "shelved", "builds")
        unread = {f"{n}.{part}": _NOT_READ for n in names for part in ("count", "ids")}
        return unread | {"cells.up": False, "source.task_state": _NOT_READ, "source.id": image.properties.get("instance_uuid")}
    servers = {s.id for s in scene.cloud.servers_of(image.id)}
    source = _source(image, scene)
    shelved: set[str] = set()
    builds: set[str] = set()
    if scene.databases is not None and scene.has("nova", "nova_api"):
        for row in scene.databases.read("read_image_users.nova", {"image_id": image.id}):
            if row["boots"]:
                servers.add(row["uuid"])
            if row["keeps"]:
                shelved.add(row["uuid"])
            if row["copies"]:
                builds.add(row["uuid"])
        builds |= {r["instance_uuid"] for r in scene.databases.read("read_image_builds.nova_api", {"image_id": image.id})}
    else:
        shelved |= {source.id} if source and source.vm_state in SHELVED else set()
        builds |= {s.id for s in scene.cloud.servers_building() if s.image_id is None}
    told = counted("servers", servers) | counted("shelved", shelved) | counted("builds", builds)
    return told | {
        "cells.up": True, "source.id": source.id if source else None, "source.task_state": source.task_state if source else None,
    }


def _source(image: Image, scene: Scene) -> Server | None:
    """The server that the image is a snapshot of, if it still exists."""
    source = image.properties.get("instance_uuid")
    return scene.cloud.server(source) if source else None


def _cinder(image: Image, scene: Scene) -> dict[str, Any]:
    """Volumes on the way. cinder tells what a volume is made from only when it is made; so each that may be counts."""
    volumes: set[str] = set()
    uploads: set[str] = set()
    if image.status in ("active", "deactivated"):
        volumes = {v.id for v in scene.cloud.volumes(status="downloading") if _fits(v, image)}
        volumes |= {
            v.id for v in scene.cloud.volumes(status="creating")
            if _fits(v, image) and (image.visibility != "private" or v.project_id == image.project_id)
        }
    elif image.status in ("queued", "saving"):
        uploads = {v.id for v in scene.cloud.volumes(status="uploading") if v.project_id == image.project_id}
    return counted("volumes", volumes) | counted("uploads", uploads)


def _fits(volume: Volume, image: Image) -> bool:
    """Whether the volume may be a copy of the image in the making."""
    return not volume.copied and volume.image_id in (None, image.id) and volume.size * GIB >= (image.size or 0)


def _cache(image: Image, scene: Scene) -> dict[str, Any]:
    """Volumes of cinder's image cache. Which they are only cinder's database tells; without it, one that has the name of
    such a volume may be anybody's, and is not touched."""
    name = f"image-{image.id}"
    if scene.databases is not None and scene.has("cinder"):
        rows = scene.databases.read("read_image_cache.cinder", {"image_id": image.id})
        found = [v for v in (scene.cloud.volume(r["volume_id"]) for r in rows) if v]
        odd = [v for v in found if v.name != name or v.status not in AT_REST or v.hosts]
    else:
        found = odd = [v for v in scene.cloud.volumes(name=name) if v.name == name]
    cached = sorted({v.id for v in found} - {v.id for v in odd})
    states = {scene.backend_state(v.backend) for v in found if v.id in cached}
    return counted("cached", cached) | counted("cached_odd", (v.id for v in odd)) | {
        "cached.volume_ids": tuple(cached), "cached.backends": " and ".join(sorted(states - {"up"})) or "up",
    }
