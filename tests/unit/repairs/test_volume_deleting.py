"""Creations, deletions and image copies that nobody works on."""

import pytest

from opsfix.model import Mode, Outcome
from tests.fakes.cloud import FakeCloud
from tests.fakes.rows import ago
from tests.unit.driving import FREE, assert_refused, assert_repaired, state, unchanged, unstick

ERROR = "error/detached, 0 attachments, 0 mappings"
NAMES = {"creating": "volume-creating", "deleting": "volume-deleting", "error_deleting": "volume-delete-failed"}


def test_a_creation_that_nobody_works_on_ends_in_error(cloud: FakeCloud) -> None:
    assert_repaired(cloud, cloud.add_volume(status="creating"), "volume-creating", ERROR)


def test_a_creation_that_was_never_scheduled_ends_in_error(cloud: FakeCloud) -> None:
    assert_repaired(cloud, cloud.add_volume(status="creating", host=None), "volume-creating", ERROR)


def test_a_creation_of_a_dead_backend_ends_in_error(cloud: FakeCloud) -> None:
    volume = cloud.add_volume(status="creating")
    cloud.work_on(volume)
    cloud.kill_backend()
    assert_repaired(cloud, volume, "volume-creating", ERROR)


def test_a_backend_that_cinder_calls_down_works_on_nothing(cloud: FakeCloud) -> None:
    """cinder's own service_down_time counts, which may be shorter than ours."""
    volume = cloud.add_volume(status="creating")
    cloud.work_on(volume)
    cloud.kill_backend()
    service = cloud.world.service("cinder-volume", "store@lvm")
    assert service is not None
    service.updated_at = ago(20)
    assert_repaired(cloud, volume, "volume-creating", ERROR)


@pytest.mark.parametrize(("status", "shown"), [("managing", "creating"), ("error_managing_deleting", "deleting")])
def test_what_cinder_takes_over_is_left_though_the_api_calls_it_otherwise(
    cloud: FakeCloud, status: str, shown: str
) -> None:
    volume = cloud.add_volume(status=status)
    assert cloud.volume(volume).status == shown
    assert_refused(cloud, volume, "volume-in-operation", "over")
    assert_refused(cloud, volume, NAMES[shown], "only its database tells", databases=False)


def test_a_deletion_that_nobody_works_on_is_done(cloud: FakeCloud) -> None:
    assert_repaired(cloud, cloud.add_volume(status="deleting"), "volume-deleting", "gone")


def test_a_cluster_finishes_the_deletion_itself(cloud: FakeCloud) -> None:
    volume = cloud.add_volume(status="deleting")
    cloud.add_backend("gone@lvm")
    cloud.kill_backend("gone@lvm")
    cloud.world.workers[volume] = "gone@lvm"
    cloud.cinder.clustered = True
    item = unstick(cloud, volume)
    assert (item.outcome, state(cloud, volume)) == (Outcome.REPAIRED, "gone")


@pytest.mark.parametrize("databases", [True, False])
def test_a_failed_deletion_is_done(cloud: FakeCloud, databases: bool) -> None:
    volume = cloud.add_volume(status="error_deleting")
    assert_repaired(cloud, volume, "volume-delete-failed", "gone", databases=databases)


@pytest.mark.parametrize("status", ["deleting", "error_deleting"])
def test_a_deletion_may_take_its_time(cloud: FakeCloud, status: str) -> None:
    cloud.cinder.delete_lag = 0.3
    assert_repaired(cloud, cloud.add_volume(status=status), NAMES[status], "gone", deadline=5.0)


@pytest.mark.parametrize("status", ["deleting", "error_deleting"])
def test_a_driver_that_fails_again_is_a_failure(cloud: FakeCloud, status: str) -> None:
    cloud.cinder.driver = "fails"
    volume = cloud.add_volume(status=status)
    assert unstick(cloud, volume).outcome is Outcome.FAILED
    assert state(cloud, volume) == "error_deleting/detached, 0 attachments, 0 mappings"


@pytest.mark.parametrize("status", ["deleting", "error_deleting"])
def test_a_busy_volume_becomes_available_and_is_no_success(cloud: FakeCloud, status: str) -> None:
    cloud.cinder.driver = "busy"
    volume = cloud.add_volume(status=status)
    assert unstick(cloud, volume).outcome is Outcome.FAILED
    assert state(cloud, volume) == FREE


@pytest.mark.parametrize("status", ["deleting", "error_deleting"])
def test_a_deletion_that_hangs_is_unknown(cloud: FakeCloud, status: str) -> None:
    cloud.cinder.delete_lag = None
    assert unstick(cloud, cloud.add_volume(status=status)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("status", ["deleting", "error_deleting"])
def test_a_volume_with_snapshots_is_refused_by_cinder(cloud: FakeCloud, status: str) -> None:
    volume = cloud.add_volume(status=status, snapshots=1)
    item = unstick(cloud, volume, mode=Mode.COMMIT)
    assert item.outcome is Outcome.FAILED
    assert "have snapshots" in item.reason
    assert not cloud.world.volumes[volume].deleted


@pytest.mark.parametrize("databases", [True, False])
@pytest.mark.parametrize("status", ["deleting", "error_deleting"])
def test_no_deletion_is_sent_to_a_dead_backend(cloud: FakeCloud, status: str, databases: bool) -> None:
    volume = cloud.add_volume(status=status)
    cloud.kill_backend()
    assert_refused(cloud, volume, NAMES[status], "cinder-volume store@lvm is down", databases=databases)


@pytest.mark.parametrize("status", ["creating", "deleting", "uploading", "downloading"])
def test_what_a_living_backend_works_on_is_left(cloud: FakeCloud, status: str) -> None:
    volume = cloud.add_volume(status=status)
    cloud.work_on(volume)
    assert_refused(cloud, volume, NAMES.get(status, "volume-image-copy"), "store@lvm still works on it")


@pytest.mark.parametrize("status", ["creating", "deleting", "uploading", "downloading"])
def test_without_cinders_database_a_living_backend_may_be_at_work(cloud: FakeCloud, status: str) -> None:
    volume = cloud.add_volume(status=status)
    symptom = NAMES.get(status, "volume-image-copy")
    assert_refused(cloud, volume, symptom, "database", databases=False)


@pytest.mark.parametrize("status", ["creating", "deleting", "error_deleting"])
def test_one_with_an_attachment_is_refused(cloud: FakeCloud, status: str) -> None:
    volume, _ = cloud.attached()
    cloud.set_volume(volume, status)
    assert_refused(cloud, volume, NAMES[status], "1 attachments")


@pytest.mark.parametrize("databases", [True, False])
@pytest.mark.parametrize("status", ["error_deleting"])
def test_one_that_nova_maps_is_refused(cloud: FakeCloud, status: str, databases: bool) -> None:
    volume, server = cloud.add_volume(status=status), cloud.add_server()
    cloud.add_mapping(server, volume)
    assert_refused(cloud, volume, NAMES[status], f"server {server} still maps", databases=databases)


@pytest.mark.parametrize("status", ["creating", "deleting"])
def test_one_that_nova_maps_is_refused_whoever_works_on_it(cloud: FakeCloud, status: str) -> None:
    volume, server = cloud.add_volume(status=status), cloud.add_server()
    cloud.add_mapping(server, volume)
    assert_refused(cloud, volume, NAMES[status], f"server {server} still maps")


@pytest.mark.parametrize("status", ["deleting", "error_deleting"])
@pytest.mark.parametrize("after", [False, True])
def test_a_lost_answer_is_found_out(cloud: FakeCloud, status: str, after: bool) -> None:
    volume = cloud.add_volume(status=status)
    cloud.lose("delete_volume", after=after)
    item = unstick(cloud, volume, mode=Mode.COMMIT)
    assert item.outcome is (Outcome.REPAIRED if after else Outcome.UNKNOWN)


@pytest.mark.parametrize(("status", "after"), [("downloading", ERROR), ("uploading", FREE)])
def test_a_cluster_ends_an_image_copy(cloud: FakeCloud, status: str, after: str) -> None:
    volume = cloud.add_volume(status=status)
    cloud.work_on(volume)
    cloud.kill_backend()
    cloud.cinder.clustered = True
    assert_repaired(cloud, volume, "volume-image-copy", after)


@pytest.mark.parametrize("status", ["uploading", "downloading"])
def test_an_image_copy_that_cinder_does_not_end_is_refused(cloud: FakeCloud, status: str) -> None:
    volume = cloud.add_volume(status=status)
    before = cloud.world.picture()
    for mode in (Mode.APPLY, Mode.COMMIT):
        item = unstick(cloud, volume, mode=mode)
        assert (item.finding, item.outcome) == ("volume-image-copy", Outcome.REFUSED)
        assert "restart cinder-volume store@lvm" in item.reason
    assert cloud.world.picture() == before


@pytest.mark.parametrize("status", ["available", "error", "error_restoring", "error_extending"])
def test_a_settled_volume_is_healthy(cloud: FakeCloud, status: str) -> None:
    volume = cloud.add_volume(status=status)
    with unchanged(cloud):
        assert unstick(cloud, volume, mode=Mode.COMMIT).outcome is Outcome.HEALTHY
