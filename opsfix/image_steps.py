"""The API steps of an image's purge."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from opsfix.errors import CloudRefused, CloudUnknown
from opsfix.guards import Facts
from opsfix.model import Result
from opsfix.ports import Cloud
from opsfix.steps import Call, Course, Step, wait_for


class EvictCached(Step):
    """Delete the volumes in which cinder keeps copies of the image; cinder then forgets its own entry of each.

    Each is looked at again right before: somebody may have begun to use it.
    """

    def calls(self, facts: Facts) -> Iterator[Call]:
        for volume in facts["cached.volume_ids"]:
            yield Call(f"cinder: delete volume {volume}, its cached copy of the image", _eviction(volume, facts["image.id"]))


def _eviction(volume_id: str, image_id: str) -> Callable[[Cloud, Course], None]:
    def evict(cloud: Cloud, course: Course) -> None:
        volume = cloud.volume(volume_id)
        if volume is None:
            return
        if volume.name != f"image-{image_id}" or volume.hosts or any(cloud.attachments(volume_id=volume_id)):
            raise CloudRefused(0, f"volume {volume_id} is in use, or no cached copy of the image any more")
        cloud.delete_volume(volume_id, force=False)
        wait_for(lambda: _ended(cloud, volume_id), course, f"cinder accepted, but volume {volume_id} is still deleting")

    return evict


def _ended(cloud: Cloud, volume_id: str) -> bool:
    volume = cloud.volume(volume_id)
    return volume is None or volume.status != "deleting"


class UnprotectImage(Step):
    """Let a protected image be deleted; it is protected again when glance then refuses to delete it."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        image = facts["image.id"]

        def unprotect(cloud: Cloud, course: Course) -> None:
            cloud.images.protect(image, protected=False)
            course.made["unprotected"] = image

        if facts["image.protected"]:
            yield Call(f"glance: unprotect image {image}", unprotect, {"protect_image": {"image": image}})

    def back(self, facts: Facts, course: Course) -> Iterator[Call]:
        if "unprotected" in course.made:
            image = facts["image.id"]
            yield Call(f"glance: protect image {image} again", lambda cloud, _: cloud.images.protect(image, protected=True))


class DeleteImage(Step):
    """Delete the image in glance: its data first, then its row."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        image = facts["image.id"]

        def delete(cloud: Cloud, _: Course) -> None:
            now = cloud.images.image(image)
            if now is None:
                return
            if now.status != facts["image.status"]:
                raise CloudRefused(0, f"it is no longer {facts['image.status']} but {now.status}: somebody is at work on it")
            cloud.images.delete_image(image)

        yield Call(f"glance: delete image {image}", delete)


class ForgetCachedImage(Step):
    """Take the image from the cache of the glance that answers, where that has one; the caches of others clean up after
    themselves, so that nothing depends on this."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        image = facts["image.id"]

        def forget(cloud: Cloud, _: Course) -> Result | None:
            try:
                cloud.images.forget_cached(image)
            except (CloudRefused, CloudUnknown):
                return Result.SKIPPED
            return None

        yield Call(f"glance: forget its cached copy of image {image}", forget)
