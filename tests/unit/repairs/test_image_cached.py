"""Copies of an image that cinder keeps."""

from __future__ import annotations

import pytest

from opsfix.model import Mode
from tests.fakes.glance import ImageCloud
from tests.unit.purging import purge, refused, unchanged


@pytest.fixture
def cloud() -> ImageCloud:
    return ImageCloud()


def cached(cloud: ImageCloud, **columns: object) -> tuple[str, str]:
    """An image and its copy."""
    image = cloud.add_image()
    volume = cloud.add_volume(name=f"image-{image}", **columns)  # type: ignore[arg-type]
    cloud.cached[volume] = image
    return image, volume


def test_they_go_first_and_through_cinder(cloud: ImageCloud) -> None:
    image, volume = cached(cloud)
    other = cloud.add_volume(name=f"image-{image}")
    with unchanged(cloud):
        shown = purge(cloud, image, Mode.DRY_RUN)
    assert [s.what.split(":")[0] for s in shown.steps if s.kind == "api"] == ["cinder", "glance", "glance"]
    item = purge(cloud, image)
    assert (item.outcome, item.finding, item.by) == ("repaired", "image-cached", "api"), item.reason
    assert cloud.world.volumes[volume].deleted
    assert cloud.glance.rows[image].deleted
    assert not cloud.world.volumes[other].deleted


def test_they_stay_while_the_image_is_needed(cloud: ImageCloud) -> None:
    image, volume = cached(cloud)
    cloud.booted[cloud.add_server()] = image
    refused(cloud, image, "booted")
    assert not cloud.world.volumes[volume].deleted


def test_an_entry_without_a_volume_is_no_obstacle(cloud: ImageCloud) -> None:
    image, volume = cached(cloud)
    cloud.world.volumes[volume].deleted = True
    assert purge(cloud, image).outcome == "repaired"


def test_without_cinders_table_a_name_proves_nothing(cloud: ImageCloud) -> None:
    image, volume = cached(cloud)
    refused(cloud, image, "may be cinder's cached copies", volume, databases=False)


def test_what_is_not_called_so_is_not_taken_for_a_copy(cloud: ImageCloud) -> None:
    image, volume = cached(cloud)
    cloud.world.volumes[volume].name = "somebody's data"
    refused(cloud, image, "may be cinder's cached copies", volume)


@pytest.mark.parametrize("status", ["in-use", "reserved", "deleting", "creating"])
def test_what_does_not_rest_is_left_alone(cloud: ImageCloud, status: str) -> None:
    image, volume = cached(cloud, status=status)
    cloud.made[volume] = {"image_id": "another"}
    refused(cloud, image, "may be cinder's cached copies", volume)


def test_a_dead_cinder_volume_deletes_nothing(cloud: ImageCloud) -> None:
    image, _ = cached(cloud)
    cloud.kill_backend()
    refused(cloud, image, "start it first")


def test_one_that_is_attached_at_the_last_moment_is_left_alone(cloud: ImageCloud) -> None:
    image, volume = cached(cloud)
    looked = []

    def attach() -> None:
        looked.append(1)
        if len(looked) == 2:
            cloud.attach(volume, cloud.add_server())

    for _ in range(3):
        cloud.on("volume", attach)
    item = purge(cloud, image)
    assert item.outcome in ("failed", "refused"), item.reason
    assert not cloud.world.volumes[volume].deleted
    assert not cloud.glance.rows[image].deleted
