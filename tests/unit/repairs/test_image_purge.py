"""Images that go, and images that somebody needs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from opsfix.engine.plan import plan
from opsfix.guards import Unread
from opsfix.model import Mode
from opsfix.repairs import IMAGE_PURGE
from opsfix.repairs.image_common import DELETABLE
from tests.fakes.glance import ImageCloud, ImageDatabases
from tests.fakes.rows import ago
from tests.unit.purging import picture, purge, refused, unchanged

STUCK = ("queued", "saving", "uploading", "importing", "killed")


@pytest.fixture
def cloud() -> ImageCloud:
    """A cloud with an image that nobody may touch."""
    cloud = ImageCloud()
    cloud.add_image(name="bystander")
    return cloud


def gone(cloud: ImageCloud, image: str) -> bool:
    """Whether glance has ended it."""
    row = cloud.glance.rows[image]
    return (row.status, row.deleted, set(row.locations) <= {"deleted"}) == ("deleted", True, True)


# what goes


@pytest.mark.parametrize("databases", [True, False])
@pytest.mark.parametrize("status", [*STUCK, "active", "deactivated"])
def test_it_goes_through_glance(cloud: ImageCloud, status: str, databases: bool) -> None:
    image = cloud.add_image(status=status)
    with unchanged(cloud):
        assert purge(cloud, image, Mode.DRY_RUN, databases=databases).outcome == "needs_commit"
    item = purge(cloud, image, databases=databases)
    assert (item.outcome, item.by, item.finding) == ("repaired", "api", "image-purge"), item.reason
    assert gone(cloud, image)
    assert purge(cloud, image, databases=databases).outcome == ("healthy" if databases else "failed")


def test_what_nobody_ever_knew_was_not_found(cloud: ImageCloud) -> None:
    assert purge(cloud, "no such image").reason == "no image with this id was found"


@pytest.mark.parametrize("status", ["saving", "importing"])
def test_of_what_was_cut_off_it_says_where_the_rest_may_lie(cloud: ImageCloud, status: str) -> None:
    assert "fs (data_dir /fs)" in purge(cloud, cloud.add_image(status=status)).reason


def test_the_database_finds_one_that_was_deleted_meanwhile(cloud: ImageCloud) -> None:
    image = cloud.add_image(status="deleted", locations=["deleted"], deleted=True)
    with unchanged(cloud):
        item = purge(cloud, image, Mode.COMMIT)
    assert (item.outcome, item.finding) == ("healthy", None)
    assert "it was deleted at" in item.reason


def test_a_row_that_was_deleted_by_hand_is_not_called_done(cloud: ImageCloud) -> None:
    image = cloud.add_image(deleted=True)
    with unchanged(cloud):
        assert "1 places where its data may be" in purge(cloud, image, Mode.COMMIT).reason


# what may still be sent


@pytest.mark.parametrize("status", ["queued", "saving", "uploading", "importing"])
def test_what_may_still_be_sent_must_have_rested(cloud: ImageCloud, status: str) -> None:
    image = cloud.add_image(status=status, age=600)
    refused(cloud, image, "less than --older-than ago")
    assert purge(cloud, image, older_than=timedelta(minutes=5)).outcome == "repaired"


@pytest.mark.parametrize("status", ["active", "killed", "deactivated"])
def test_what_rests_needs_no_age(cloud: ImageCloud, status: str) -> None:
    assert purge(cloud, cloud.add_image(status=status, age=0)).outcome == "repaired"


@pytest.mark.parametrize("lock", ["os_glance_import_task", "os_glance_importing_to_stores", "os_glance_hash_op_host"])
def test_an_active_image_that_is_copied_to_another_store_must_have_rested(cloud: ImageCloud, lock: str) -> None:
    refused(cloud, cloud.add_image(age=600, properties={lock: "task"}), "less than --older-than ago")
    assert purge(cloud, cloud.add_image(properties={lock: "task"})).outcome == "repaired"
    assert purge(cloud, cloud.add_image(age=0, properties={lock: ""})).outcome == "repaired"


def test_an_import_whose_task_tells_of_progress_goes_on(cloud: ImageCloud) -> None:
    image = cloud.add_image(status="importing", properties={"os_glance_import_task": "task"})
    cloud.glance.tasks["task"] = ago(60)
    refused(cloud, image, "less than --older-than ago")
    cloud.glance.tasks["task"] = ago(6000)
    assert purge(cloud, image).outcome == "repaired"


# who needs it


@pytest.mark.parametrize("databases", [True, False])
def test_servers_that_were_booted_from_it(cloud: ImageCloud, databases: bool) -> None:
    image = cloud.add_image()
    server = cloud.add_server()
    cloud.booted[server] = image
    refused(cloud, image, "1 servers were booted from it", server, databases=databases)
    cloud.world.servers[server].deleted = True
    assert purge(cloud, image, databases=databases).outcome == "repaired"


def test_the_disk_of_a_shelved_server_by_novas_table(cloud: ImageCloud) -> None:
    server = cloud.add_server(vm_state="shelved_offloaded", host=None)
    image, other = (cloud.add_image(properties={"instance_uuid": server}) for _ in range(2))
    cloud.shelved[server] = image
    refused(cloud, image, "disk of a shelved server", server)
    assert purge(cloud, other).outcome == "repaired"


@pytest.mark.parametrize("state", ["shelved", "shelved_offloaded"])
def test_without_that_table_every_snapshot_of_a_shelved_server_counts(cloud: ImageCloud, state: str) -> None:
    server = cloud.add_server(vm_state=state)
    image = cloud.add_image(properties={"instance_uuid": server})
    refused(cloud, image, "disk of a shelved server", server, databases=False)
    cloud.set_server(server, vm_state="active")
    assert purge(cloud, image, databases=False).outcome == "repaired"


@pytest.mark.parametrize("task", ["image_uploading", "shelving", "unshelving"])
def test_a_snapshot_of_a_server_that_is_busy(cloud: ImageCloud, task: str) -> None:
    server = cloud.add_server(task_state=task)
    refused(cloud, cloud.add_image(status="saving", properties={"instance_uuid": server}), "busy", server, task)


def test_a_build_that_waits_for_a_copy(cloud: ImageCloud) -> None:
    image, server = cloud.add_image(), cloud.add_server(vm_state="building")
    cloud.building[server] = image
    refused(cloud, image, "being built", server)
    refused(cloud, image, "being built", server, databases=False)
    other = cloud.add_image()
    assert purge(cloud, other).outcome == "repaired"
    cloud.booted[server] = "another image"
    assert purge(cloud, image, databases=False).outcome == "repaired"


@pytest.mark.parametrize("status", ["creating", "downloading"])
def test_a_volume_that_may_be_a_copy(cloud: ImageCloud, status: str) -> None:
    image = cloud.add_image(size=3 * 1024**3)
    volume = cloud.add_volume(status=status)
    cloud.made[volume] = {"size": 3}
    refused(cloud, image, "volumes are being made", volume)
    for known in ({"size": 2}, {"size": 3, "copied": True}, {"size": 3, "image_id": "another"}):
        cloud.made[volume] = known
        with unchanged(cloud):
            assert purge(cloud, image, Mode.DRY_RUN).outcome == "needs_commit"
    cloud.made[volume] = {"size": 3, "image_id": image}
    refused(cloud, image, "volumes are being made", volume)


def test_a_private_image_is_for_volumes_of_its_project(cloud: ImageCloud) -> None:
    volume = cloud.add_volume(status="creating")
    for visibility in ("public", "community", "shared"):
        refused(cloud, cloud.add_image(project_id="other", visibility=visibility), volume)
    assert purge(cloud, cloud.add_image(project_id="other")).outcome == "repaired"
    cloud.set_volume(volume, "downloading")
    refused(cloud, cloud.add_image(project_id="other"), volume)


@pytest.mark.parametrize("status", ["queued", "saving"])
def test_a_volume_that_is_being_uploaded_perhaps_to_it(cloud: ImageCloud, status: str) -> None:
    volume = cloud.add_volume(status="uploading")
    refused(cloud, cloud.add_image(status=status), "being uploaded", volume)
    assert purge(cloud, cloud.add_image(status=status, project_id="other")).outcome == "repaired"
    assert purge(cloud, cloud.add_image()).outcome == "repaired"


def test_images_that_are_made_of_it(cloud: ImageCloud) -> None:
    image = cloud.add_image()
    snapshot = cloud.add_image(properties={"base_image_ref": image})
    refused(cloud, image, "other images name it", snapshot)
    assert purge(cloud, snapshot).outcome == "repaired"
    assert purge(cloud, image).outcome == "repaired"


def test_a_cell_that_is_down_proves_nothing(cloud: ImageCloud) -> None:
    cloud.add_host("cmp-9", "cell9")
    cloud.cell_down("cell9")
    refused(cloud, cloud.add_image(), "a cell of nova is down")


def test_data_in_a_store_that_glance_no_longer_has(cloud: ImageCloud) -> None:
    cloud.glance.known = ["ceph"]
    image = cloud.add_image()
    refused(cloud, image, "a store that glance no longer has (fs)")
    cloud.glance.known = []
    assert purge(cloud, image).outcome == "repaired"


FREE: dict[str, Any] = {
    "image.id": "i", "image.status": "active", "image.live": True, "image.shown": True, "image.idle": True, "image.kept": False,
    "image.waits": False, "image.moved": False, "image.left_waiting": False, "cells.up": True, "source.task_state": None,
    "strange_stores.count": 0, "cached.count": 0, "cached.backends": "up",
    **{f"{kind}.count": 0 for kind in ("servers", "shelved", "builds", "volumes", "uploads", "snapshots", "cached_odd")},
}


@pytest.mark.parametrize("cached", [0, 1])
@pytest.mark.parametrize("guard", DELETABLE, ids=lambda g: g.fact)
def test_each_guard_refuses_in_each_stage(guard: Any, cached: int) -> None:
    facts = FREE | {"cached.count": cached}
    assert plan("image", IMAGE_PURGE, facts, check_age=True).refusal is None
    broken = "some" if guard.value is None else (not guard.value if isinstance(guard.value, bool) else 7)
    for value in (broken, Unread("it was not read")):
        assert plan("image", IMAGE_PURGE, facts | {guard.fact: value}, check_age=True).refusal


# protected ones


def test_a_protected_image_needs_a_word_more(cloud: ImageCloud) -> None:
    image = cloud.add_image(protected=True)
    refused(cloud, image, "protected", "--unprotect")
    assert purge(cloud, image, unprotect=True).outcome == "repaired"
    assert gone(cloud, image)


def test_it_is_protected_again_when_glance_refuses(cloud: ImageCloud) -> None:
    image = cloud.add_image(protected=True)
    cloud.glance.store = "in use"
    before = picture(cloud)
    item = purge(cloud, image, Mode.COMMIT, unprotect=True)
    assert item.outcome == "refused"
    assert "in use: a clone" in item.reason
    assert picture(cloud) == before


def test_who_needs_it_is_asked_before_it_is_unprotected(cloud: ImageCloud) -> None:
    image, server = cloud.add_image(protected=True), cloud.add_server()
    cloud.booted[server] = image
    refused(cloud, image, "booted", unprotect=True)


# when glance says no


@pytest.mark.parametrize(("store", "words"), [("in use", "in use: a clone"), ("forbidden", "You cannot delete file")])
def test_data_that_the_store_keeps_is_not_orphaned(cloud: ImageCloud, store: str, words: str) -> None:
    image = cloud.add_image()
    cloud.glance.store = store
    before = picture(cloud)
    item = purge(cloud, image, Mode.COMMIT)
    assert (item.outcome, words in item.reason, "may still have its data" in item.reason) == ("refused", True, True)
    assert picture(cloud) == before
    without = purge(cloud, image, Mode.COMMIT, databases=False)
    assert (without.outcome, words in without.reason) == ("refused", True)


def test_half_a_deletion_is_ended_by_sql(cloud: ImageCloud) -> None:
    image = cloud.add_image(status="deleted", locations=["deleted"])
    databases = ImageDatabases(cloud)
    with unchanged(cloud):
        shown = purge(cloud, image, Mode.DRY_RUN)
    assert {s.kind for s in shown.steps} == {"api", "sql"}
    before = picture(cloud)
    assert purge(cloud, image).outcome == "needs_commit"
    assert picture(cloud) == before
    item = purge(cloud, image, Mode.COMMIT, databases=databases)
    assert (item.outcome, item.by, databases.committed) == ("repaired", "sql", ["image_purge.glance"]), item.reason
    assert gone(cloud, image)


@pytest.mark.parametrize("after", [True, False])
def test_a_lost_answer_never_leads_to_sql(cloud: ImageCloud, after: bool) -> None:
    image = cloud.add_image(locations=[])
    databases = ImageDatabases(cloud)
    cloud.lose("delete_image", after=after)
    item = purge(cloud, image, Mode.COMMIT, databases=databases)
    assert item.outcome == ("repaired" if after else "unknown")
    assert databases.committed == []


def test_one_that_somebody_fills_at_last_is_left_alone(cloud: ImageCloud) -> None:
    image = cloud.add_image(status="queued")
    row = cloud.glance.rows[image]
    databases = ImageDatabases(cloud)
    cloud.on("image", lambda: None)
    cloud.on("image", lambda: setattr(row, "status", "saving"))
    item = purge(cloud, image, Mode.COMMIT, databases=databases)
    assert (item.outcome, "it was queued and is now saving" in item.reason) == ("refused", True), item.reason
    assert (row.status, row.deleted, databases.committed) == ("saving", False, [])
