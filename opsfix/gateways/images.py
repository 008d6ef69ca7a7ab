"""glance through the session of openstacksdk: its images of all projects, hidden ones included, as glance has them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from openstack import exceptions as sdk_errors

from opsfix.errors import CloudRefused
from opsfix.gateways.calls import change, one, onward, paged, read, time
from opsfix.resources import Image, Store

PAGE = 1000
#: glance's own fields; every other one is a property of the image.
OWN = frozenset({
    "id", "name", "status", "owner", "visibility", "protected", "os_hidden", "size", "virtual_size", "checksum",
    "os_hash_algo", "os_hash_value", "container_format", "disk_format", "created_at", "updated_at", "min_ram", "min_disk",
    "tags", "self", "file", "schema", "stores", "locations", "direct_url",
})
#: What the details of a store call the place of its data: a directory, a pool, a container, a bucket, a volume type.
PLACES = ("data_dir", "pool", "container", "s3_store_bucket", "volume_type")


class Images:
    """See ports.Images."""

    def __init__(self, proxy: Any):
        self._proxy = proxy

    def _get(self, path: str, **query: Any) -> Any:
        answer = self._proxy.get(path, params={k: v for k, v in query.items() if v is not None})
        sdk_errors.raise_from_response(answer)
        return answer.json()

    def _all(self, **query: Any) -> Iterator[Any]:
        """A listing page by page. Without ``visibility`` glance leaves out other projects' community images; hidden ones
        it lists only when asked for them alone."""
        for hidden in ("false", "true"):
            asked = query | {"visibility": "all", "os_hidden": hidden, "limit": PAGE}
            while True:
                body = self._get("/images", **asked)
                yield from body["images"]
                if not body["images"] or "next" not in body:
                    break
                asked["marker"] = onward(body["images"], "id", asked.get("marker"))

    def image(self, image_id: str) -> Image | None:
        """See ports.Images."""
        return one(lambda: _image(self._get(f"/images/{image_id}")))

    def images(self, *, name: str | None = None, base: str | None = None) -> Iterator[Image]:
        """See ports.Images."""
        # glance reads 'in:a,b' as a list, and its tables may keep no four-byte characters to compare with
        plain = name and not name.startswith("in:") and all(ord(character) <= 0xFFFF for character in name)
        found = paged(lambda: self._all(name=name if plain else None, base_image_ref=base), _image)
        return (i for i in found if name in (None, i.name) and base in (None, i.properties.get("base_image_ref")))

    def newest(self, count: int) -> list[Image]:
        """See ports.Images."""
        asked = {"sort_key": "updated_at", "sort_dir": "desc", "limit": count, "visibility": "all"}
        return read(lambda: [_image(i) for i in self._get("/images", **asked)["images"]])

    def task_changed_at(self, task_id: str) -> datetime | None:
        """See ports.Images."""
        return one(lambda: time(self._get(f"/tasks/{task_id}")["updated_at"]))

    def stores(self) -> list[Store]:
        """See ports.Images. Before 2023.1, and for a user who may not see the details, only the names."""
        for path in ("/info/stores/detail", "/info/stores"):
            try:
                found = read(lambda path=path: self._get(path)["stores"])  # type: ignore[misc]
            except CloudRefused as e:
                if e.status not in (403, 404):
                    raise
            else:
                return [_store(s) for s in found]
        return []

    def protect(self, image_id: str, *, protected: bool) -> None:
        """See ports.Images."""
        patch = [{"op": "replace", "path": "/protected", "value": protected}]
        kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        change(lambda: sdk_errors.raise_from_response(self._proxy.patch(f"/images/{image_id}", json=patch, headers=kind)))

    def delete_image(self, image_id: str) -> None:
        """See ports.Images."""
        change(lambda: sdk_errors.raise_from_response(self._proxy.delete(f"/images/{image_id}")))

    def forget_cached(self, image_id: str) -> None:
        """See ports.Images."""
        change(lambda: sdk_errors.raise_from_response(self._proxy.delete(f"/cache/{image_id}")))


def _image(i: dict[str, Any]) -> Image:
    return Image(
        id=i["id"],
        name=i.get("name") or "",
        project_id=i.get("owner") or "",
        status=i["status"],
        visibility=i["visibility"],
        protected=bool(i.get("protected")),
        size=i.get("size"),
        created_at=time(i.get("created_at")),
        updated_at=time(i.get("updated_at")),
        stores=tuple(filter(None, (i.get("stores") or "").split(","))),
        properties={k: str(v) for k, v in i.items() if k not in OWN and v is not None},
    )


def _store(s: dict[str, Any]) -> Store:
    told = s.get("properties") or {}
    place = next((f"{name} {told[name]}" for name in PLACES if told.get(name)), None)
    return Store(s["id"], place)
