"""Images that wait for glance-scrubber."""

from __future__ import annotations

import pytest

from opsfix.images import Images
from opsfix.model import Mode
from opsfix.scene import Scene
from tests.fakes.glance import ImageCloud, ImageDatabases
from tests.unit.purging import purge, refused, unchanged

WAITING = {"status": "pending_delete", "deleted": True}


@pytest.fixture
def cloud() -> ImageCloud:
    return ImageCloud()


@pytest.mark.parametrize("left", ["pending_delete", "active"])
def test_their_data_is_the_scrubbers(cloud: ImageCloud, left: str) -> None:
    image = cloud.add_image(locations=["deleted", left], **WAITING)
    refused(cloud, image, "run glance-scrubber", f"--restore {image}")


@pytest.mark.parametrize("locations", [["deleted"], []])
def test_what_the_scrubber_forgot_is_ended_by_sql(cloud: ImageCloud, locations: list[str]) -> None:
    image = cloud.add_image(locations=locations, **WAITING)
    for mode in (Mode.DRY_RUN, Mode.APPLY):
        with unchanged(cloud):
            assert purge(cloud, image, mode).outcome == "needs_commit"
    item = purge(cloud, image, Mode.COMMIT)
    assert (item.outcome, item.by, item.finding) == ("repaired", "sql", "image-pending-delete"), item.reason
    assert cloud.glance.rows[image].status == "deleted"
    assert purge(cloud, image).outcome == "healthy"


def test_what_this_run_deleted_is_left_to_the_scrubber(cloud: ImageCloud) -> None:
    image = cloud.add_image()
    cloud.glance.delayed_delete = True
    item = purge(cloud, image)
    assert (item.outcome, item.by) == ("repaired", "api"), item.reason
    assert "until glance-scrubber has run" in item.reason
    refused(cloud, image, "run glance-scrubber")


def test_only_glances_table_knows_them(cloud: ImageCloud) -> None:
    image = cloud.add_image(name="old", **WAITING)
    cloud.add_image(name="old", status="deleted", locations=[], deleted=True)
    live = cloud.add_image(name="old")
    named = Images().named(Scene(cloud, ImageDatabases(cloud)), "old")
    assert {i for i, _ in named} == {image, live}
    assert [i for i, _ in Images().named(Scene(cloud), "old")] == [live]
    assert purge(cloud, image, databases=False).outcome == "failed"
