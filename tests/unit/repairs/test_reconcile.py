"""``volume reconcile``: nova's mappings against cinder's attachments, each case of disagreement and each refusal by name."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from opsfix.model import Item, Mode, Outcome, Result
from tests.fakes.cloud import FakeCloud
from tests.unit.driving import (
    FREE,
    IN_USE,
    Driver,
    assert_refused,
    assert_repaired,
    reconciling,
    state,
    unchanged,
    unstick,
)

REBOOT = "do not reboot server"


def refused(cloud: FakeCloud, volume: str, symptom: str, *words: str, **options: Any) -> Item:
    return assert_refused(cloud, volume, symptom, *words, **reconciling(**options))


def repaired(cloud: FakeCloud, volume: str, symptom: str, to: str = FREE, by: str = "api", **options: Any) -> Item:
    return assert_repaired(cloud, volume, symptom, to, by, **reconciling(**options))


def unheld(cloud: FakeCloud, status: str = "in-use", **server: Any) -> tuple[str, str]:
    """nova maps a volume that cinder calls busy, without an attachment."""
    volume, guest = cloud.attached(**server)
    for attachment in cloud.world.volumes[volume].live:
        cloud.drop_attachment(attachment.id)
    cloud.set_volume(volume, status, attach_status="detached")
    return volume, guest


def gone(cloud: FakeCloud, **server: Any) -> tuple[str, str]:
    """A volume that was deleted under its mapping."""
    volume, guest = unheld(cloud, "deleted", **server)
    cloud.set_volume(volume, "deleted", deleted=True)
    return volume, guest


def misdirected(cloud: FakeCloud, **server: Any) -> tuple[str, str]:
    """cinder has a connected attachment for the server, and nova's mapping names another one."""
    volume, guest = cloud.attached(**server)
    cloud.world.servers[guest].live[-1].attachment_id = "another"
    return volume, guest


def elsewhere(cloud: FakeCloud, **server: Any) -> tuple[str, str, str]:
    """The volume is attached to one server, and an earlier one was never told."""
    volume, guest = cloud.attached()
    other = cloud.add_server(host="cmp-2", **server)
    cloud.add_mapping(other, volume)
    return volume, guest, other


def twice(cloud: FakeCloud, attachment: str | None = "gone", **server: Any) -> tuple[str, str]:
    """A server maps its volume a second time."""
    volume, guest = cloud.attached(**server)
    cloud.add_mapping(guest, volume, attachment)
    cloud.world.servers[guest].live[-1].device = cloud.world.servers[guest].live[0].device
    return volume, guest


class TestAgreement:
    """Both sides name the same attachments: nothing to do, whatever the status."""

    @pytest.mark.parametrize("status", ["in-use", "detaching", "attaching", "reserved", "maintenance", "uploading"])
    def test_an_attached_volume_is_healthy(self, cloud: FakeCloud, status: str) -> None:
        volume, _ = cloud.attached()
        cloud.set_volume(volume, status)
        with unchanged(cloud):
            item = unstick(cloud, volume, **reconciling(mode=Mode.COMMIT))
        assert (item.outcome, item.finding) == (Outcome.HEALTHY, None)
        assert ("volume unstick" in item.reason) == (status != "in-use")

    def test_a_free_volume_is_healthy(self, cloud: FakeCloud) -> None:
        assert unstick(cloud, cloud.add_volume(), **reconciling()).outcome is Outcome.HEALTHY

    def test_a_volume_that_nobody_knows_is_not_found(self, cloud: FakeCloud) -> None:
        item = unstick(cloud, "nobody", **reconciling())
        assert (item.outcome, item.finding) == (Outcome.FAILED, None)


class TestUnheld:
    """A mapping without an attachment, and the volume is busy."""

    @pytest.mark.parametrize("databases", [True, False])
    @pytest.mark.parametrize("status", ["in-use", "detaching", "reserved", "attaching"])
    def test_nova_lets_go_and_nobody_can_take_it_meanwhile(self, cloud: FakeCloud, status: str, databases: bool) -> None:
        volume, guest = unheld(cloud, status)
        seen: list[tuple[str, bool]] = []
        cloud.on("detach_volume", lambda: seen.append((cloud.world.volumes[volume].status, (guest, "cmp-1", volume) in cloud.world.holds)))
        repaired(cloud, volume, "mapping-unheld", detach=True, databases=databases)
        assert seen == [("in-use", True)]
        assert cloud.world.holds == set()

    def test_a_guest_keeps_its_disk_unless_asked(self, cloud: FakeCloud) -> None:
        volume, guest = unheld(cloud)
        free, refresh = f"volume set --state available --detached {volume}", f"nova-manage volume_attachment refresh {guest} {volume}"
        item = refused(cloud, volume, "mapping-unheld", "--detach", f"'openstack {free}' and at once '{refresh} CONNECTOR'")
        assert f"{REBOOT} {guest}" in item.reason

    def test_a_refused_detach_leaves_it_in_use(self, cloud: FakeCloud) -> None:
        volume, _ = unheld(cloud)
        cloud.refuse("detach_volume", 409, "Instance is locked")
        item = unstick(cloud, volume, **reconciling(detach=True, mode=Mode.COMMIT))
        assert item.outcome is Outcome.REFUSED
        assert "runs on cmp-1" in item.reason
        assert state(cloud, volume) == "in-use/attached, 0 attachments, 1 mappings"

    @pytest.mark.parametrize("call", ["reset_volume", "roll_detaching", "detach_volume"])
    @pytest.mark.parametrize("after", [False, True])
    def test_a_lost_answer_is_never_taken_for_a_no(self, cloud: FakeCloud, call: str, after: bool) -> None:
        volume, _ = unheld(cloud)
        cloud.lose(call, after=after)
        item = unstick(cloud, volume, **reconciling(detach=True, mode=Mode.COMMIT))
        assert item.outcome in (Outcome.UNKNOWN, Outcome.REPAIRED)
        assert (state(cloud, volume) == FREE) == (item.outcome is Outcome.REPAIRED)
        assert any(step.result is Result.UNKNOWN for step in item.steps)
        again = unstick(cloud, volume, **reconciling(detach=True, older_than=timedelta(0)))
        assert again.outcome in (Outcome.REPAIRED, Outcome.HEALTHY)

    def test_what_nova_cannot_detach_goes_by_sql_once_the_guest_is_off(self, cloud: FakeCloud) -> None:
        volume, _ = unheld(cloud, vm_state="error", power_state=4)
        repaired(cloud, volume, "mapping-unheld", by="sql", detach=True)

    def test_a_guest_that_runs_is_never_cut_by_sql(self, cloud: FakeCloud) -> None:
        volume, _ = unheld(cloud, vm_state="error", power_state=1)
        refused(cloud, volume, "mapping-unheld", "runs on cmp-1", "stop the server", detach=True)

    def test_a_dead_host_is_refused(self, cloud: FakeCloud) -> None:
        volume, _ = unheld(cloud)
        cloud.kill_host("cmp-1")
        refused(cloud, volume, "mapping-unheld", "may run on cmp-1 (down)", detach=True)

    def test_on_a_fenced_host_novas_side_is_cut_by_sql(self, cloud: FakeCloud) -> None:
        volume, _ = unheld(cloud)
        cloud.kill_host("cmp-1", off=True)
        repaired(cloud, volume, "volume-host-fenced", by="sql", fenced=["cmp-1"])

    @pytest.mark.parametrize(("broken", "words"), [
        ({"task_state": "rebooting"}, "busy (rebooting)"),
        ({"vm_state": "building"}, "being built or moved"),
    ])
    def test_a_server_at_work_is_refused(self, cloud: FakeCloud, broken: dict[str, str], words: str) -> None:
        volume, _ = unheld(cloud, **broken)
        refused(cloud, volume, "mapping-unheld", words, detach=True)

    def test_a_server_on_the_move_is_refused(self, cloud: FakeCloud) -> None:
        volume, server = unheld(cloud)
        cloud.add_migration(server)
        refused(cloud, volume, "mapping-unheld", "being built or moved", detach=True)

    def test_a_migrating_volume_is_refused(self, cloud: FakeCloud) -> None:
        volume, _ = unheld(cloud)
        cloud.set_volume(volume, "in-use", migration_status="migrating")
        refused(cloud, volume, "volume-in-operation", "migrating", detach=True)

    def test_a_young_one_is_refused(self, cloud: FakeCloud) -> None:
        volume, _ = unheld(cloud)
        cloud.world.volumes[volume].touch()
        refused(cloud, volume, "mapping-unheld", "--older-than", detach=True)


class TestBootDisk:
    """Never cut, in no state."""

    @pytest.mark.parametrize("status", ["in-use", "available", "detaching"])
    def test_it_is_refused_with_the_call_that_keeps_it(self, cloud: FakeCloud, status: str) -> None:
        volume, server = unheld(cloud, status, root=True)
        item = refused(cloud, volume, "mapping-boot-disk", "boot disk", f"volume_attachment refresh {server} {volume}", detach=True)
        assert f"{REBOOT} {server}" in item.reason
        assert f"{volume} (its boot disk)" in item.reason

    def test_of_a_volume_that_is_gone(self, cloud: FakeCloud) -> None:
        volume, _ = gone(cloud, root=True, vm_state="stopped", power_state=4)
        refused(cloud, volume, "mapping-volume-gone", "boot disk", detach=True)


class TestGone:
    """A volume that cinder has no more."""

    @pytest.mark.parametrize("off", [{"vm_state": "stopped", "power_state": 4}, {"vm_state": "shelved_offloaded", "host": None}])
    def test_its_mapping_goes_by_sql_once_the_guest_is_off(self, cloud: FakeCloud, off: dict[str, Any]) -> None:
        volume, _ = gone(cloud, **off)
        repaired(cloud, volume, "mapping-volume-gone", "gone", "sql")
        assert list(cloud.world.mappings_of(volume)) == []

    def test_a_guest_that_runs_is_refused(self, cloud: FakeCloud) -> None:
        volume, server = gone(cloud)
        item = refused(cloud, volume, "mapping-volume-gone", "runs on cmp-1", "stop the server")
        assert f"{REBOOT} {server}" in item.reason

    def test_each_of_several_servers_lets_go(self, cloud: FakeCloud) -> None:
        volume, _ = gone(cloud, vm_state="stopped", power_state=4)
        cloud.add_mapping(cloud.add_server(vm_state="stopped", power_state=4), volume)
        repaired(cloud, volume, "mapping-volume-gone", "gone", "sql")
        assert list(cloud.world.mappings_of(volume)) == []

    def test_on_a_fenced_host(self, cloud: FakeCloud) -> None:
        volume, _ = gone(cloud)
        cloud.kill_host("cmp-1", off=True)
        repaired(cloud, volume, "mapping-volume-gone", "gone", "sql", fenced=["cmp-1"])

    def test_a_dead_host_is_refused(self, cloud: FakeCloud) -> None:
        volume, _ = gone(cloud)
        cloud.kill_host("cmp-1")
        refused(cloud, volume, "mapping-volume-gone", "may run on cmp-1 (down)")

    def test_without_a_database_it_says_what_it_needs(self, cloud: FakeCloud) -> None:
        volume, _ = gone(cloud, vm_state="stopped", power_state=4)
        refused(cloud, volume, "mapping-volume-gone", "database of nova", databases=False)

    def test_a_404_that_its_table_denies_is_unknown(self, cloud: FakeCloud) -> None:
        volume, _ = unheld(cloud, vm_state="stopped", power_state=4)
        cloud.refuse("volume", 404, "not found")
        with unchanged(cloud):
            assert unstick(cloud, volume, **reconciling(mode=Mode.COMMIT)).outcome is Outcome.UNKNOWN


class TestDuplicate:
    """One server, one volume, two mappings."""

    def test_the_one_without_attachment_goes(self, cloud: FakeCloud) -> None:
        volume, server = twice(cloud)
        true = cloud.world.servers[server].live[0].attachment_id
        repaired(cloud, volume, "mapping-duplicate", IN_USE, "sql")
        assert [m.attachment_id for m in cloud.world.mappings_of(volume)] == [true]

    def test_of_two_with_the_same_attachment_the_unconnected_one_goes(self, cloud: FakeCloud) -> None:
        volume, server = twice(cloud)
        first, second = cloud.world.servers[server].live
        second.attachment_id, second.connected = first.attachment_id, False
        repaired(cloud, volume, "mapping-duplicate", IN_USE, "sql")
        assert (first.deleted, second.deleted) == (False, True)

    def test_a_second_disk_in_the_guest_is_refused(self, cloud: FakeCloud) -> None:
        volume, server = twice(cloud)
        cloud.world.servers[server].live[1].device = "/dev/vdx"
        refused(cloud, volume, "mapping-duplicate", "/dev/vdx", "stop the server")
        cloud.set_server(server, vm_state="stopped", power_state=4)
        repaired(cloud, volume, "mapping-duplicate", IN_USE, "sql")

    def test_two_true_ones_are_refused(self, cloud: FakeCloud) -> None:
        volume, server = twice(cloud, attachment=None)
        cloud.world.servers[server].live[1].attachment_id = cloud.add_attachment(volume, server)
        refused(cloud, volume, "mapping-duplicate", "2 attachments")

    def test_a_second_attachment_on_its_way_is_refused(self, cloud: FakeCloud) -> None:
        volume, server = twice(cloud, attachment=None)
        cloud.world.servers[server].live[1].attachment_id = cloud.add_attachment(volume, server, "reserved", connected=False)
        refused(cloud, volume, "mapping-duplicate", "2 attachments")

    def test_none_true_is_refused(self, cloud: FakeCloud) -> None:
        volume, server = unheld(cloud)
        cloud.add_mapping(server, volume)
        refused(cloud, volume, "mapping-duplicate", "0 attachments")

    def test_an_attach_that_begins_is_refused(self, cloud: FakeCloud) -> None:
        volume, _ = twice(cloud, attachment=None)
        refused(cloud, volume, "volume-mapping-legacy", "without an attachment id")

    def test_a_boot_disk_is_refused(self, cloud: FakeCloud) -> None:
        volume, server = cloud.attached(root=True)
        cloud.add_mapping(server, volume)
        refused(cloud, volume, "mapping-duplicate", "boot disk")

    @pytest.mark.parametrize("what", ["task", "move"])
    def test_a_server_at_work_is_refused(self, cloud: FakeCloud, what: str) -> None:
        volume, server = twice(cloud)
        if what == "task":
            cloud.set_server(server, task_state="rebooting")
        else:
            cloud.add_migration(server)
        refused(cloud, volume, "mapping-duplicate", "rebooting" if what == "task" else "moved")


class TestMisdirected:
    """The wrong attachment id."""

    def test_nova_detaches_and_the_other_attachment_goes(self, cloud: FakeCloud) -> None:
        volume, _ = misdirected(cloud)
        repaired(cloud, volume, "mapping-misdirected", detach=True)
        assert cloud.world.holds == set()

    def test_a_guest_keeps_its_disk_unless_asked(self, cloud: FakeCloud) -> None:
        volume, server = misdirected(cloud)
        [other] = cloud.world.volumes[volume].live
        words = f"volume attachment delete {other.id}' and at once 'nova-manage volume_attachment refresh {server} {volume}"
        item = refused(cloud, volume, "mapping-misdirected", "--detach", words)
        assert f"{REBOOT} {server}" in item.reason

    def test_another_servers_attachment_is_refused(self, cloud: FakeCloud) -> None:
        volume, _ = misdirected(cloud, volume={"multiattach": True})
        cloud.add_attachment(volume, cloud.add_server())
        refused(cloud, volume, "mapping-misdirected", "other servers have it attached", detach=True)

    def test_a_dead_backend_is_refused(self, cloud: FakeCloud) -> None:
        volume, _ = misdirected(cloud)
        cloud.kill_backend()
        refused(cloud, volume, "mapping-misdirected", "start it first", detach=True)

    def test_a_dead_host_is_refused(self, cloud: FakeCloud) -> None:
        volume, _ = misdirected(cloud)
        cloud.kill_host("cmp-1")
        refused(cloud, volume, "mapping-misdirected", "--fenced cmp-1", detach=True)

    def test_a_boot_disk_is_refused(self, cloud: FakeCloud) -> None:
        volume, _ = misdirected(cloud, root=True)
        refused(cloud, volume, "mapping-boot-disk", "boot disk", detach=True)


class TestElsewhere:
    """Two servers, one attachment: two guests may write to one disk."""

    def test_the_server_without_attachment_lets_go_and_the_other_keeps_it(self, cloud: FakeCloud) -> None:
        volume, guest, _ = elsewhere(cloud)
        repaired(cloud, volume, "mapping-elsewhere", IN_USE, detach=True)
        assert cloud.world.holds == {(guest, "cmp-1", volume)}

    def test_neither_is_cut_unless_asked(self, cloud: FakeCloud) -> None:
        volume, _, other = elsewhere(cloud)
        item = refused(cloud, volume, "mapping-elsewhere", f"the guest of server {other}", "--detach")
        assert f"{REBOOT} {other}" in item.reason

    def test_an_interrupted_run_is_taken_up(self, cloud: FakeCloud) -> None:
        volume, _, _ = elsewhere(cloud)
        cloud.set_volume(volume, "detaching")
        repaired(cloud, volume, "mapping-elsewhere", IN_USE, detach=True)

    def test_a_server_that_boots_from_it_keeps_it(self, cloud: FakeCloud) -> None:
        volume, guest = cloud.attached(root=True)
        cloud.add_mapping(cloud.add_server(host="cmp-2"), volume)
        repaired(cloud, volume, "mapping-elsewhere", IN_USE, detach=True)
        assert cloud.world.holds == {(guest, "cmp-1", volume)}

    def test_a_dead_host_is_refused_and_a_fenced_one_goes_by_sql(self, cloud: FakeCloud) -> None:
        volume, guest, _ = elsewhere(cloud)
        cloud.kill_host("cmp-2", off=True)
        refused(cloud, volume, "mapping-elsewhere", "--fenced cmp-2", detach=True)
        repaired(cloud, volume, "mapping-elsewhere", IN_USE, "sql", fenced=["cmp-2"])
        assert cloud.world.holds == {(guest, "cmp-1", volume)}

    def test_a_boot_disk_is_refused(self, cloud: FakeCloud) -> None:
        volume, _ = cloud.attached()
        cloud.add_mapping(cloud.add_server(host="cmp-2"), volume, root=True)
        refused(cloud, volume, "mapping-boot-disk", "boot disk", detach=True)


class TestAlsoOfUnstick:
    """The states that both commands know."""

    @pytest.mark.parametrize("databases", [True, False])
    def test_an_available_volume_is_held_and_detached(self, cloud: FakeCloud, databases: bool) -> None:
        volume, server = cloud.add_volume(), cloud.add_server()
        cloud.add_mapping(server, volume)
        repaired(cloud, volume, "volume-mapping-dangling", databases=databases)

    def test_an_attachment_of_a_server_that_is_gone(self, cloud: FakeCloud) -> None:
        volume, server = cloud.attached()
        cloud.lose_server(server)
        repaired(cloud, volume, "volume-attachment-orphaned")

    def test_an_attachment_of_a_guest_that_runs(self, cloud: FakeCloud) -> None:
        volume, server = cloud.attached()
        cloud.drop_mapping(server, volume)
        item = refused(cloud, volume, "volume-attachment-unproven", "stop the server")
        assert f"{REBOOT} {server}" in item.reason


@pytest.mark.parametrize("databases", [True, False])
def test_all_finds_what_disagrees_and_nothing_else(cloud: FakeCloud, databases: bool) -> None:
    for status in ("in-use", "detaching", "attaching"):
        healthy, _ = cloud.attached()
        cloud.set_volume(healthy, status)
    cloud.add_volume()
    expected = {
        unheld(cloud)[0]: "mapping-unheld", gone(cloud)[0]: "mapping-volume-gone",
        misdirected(cloud)[0]: "mapping-misdirected", elsewhere(cloud)[0]: "mapping-elsewhere",
        twice(cloud)[0]: "mapping-duplicate",
    }
    orphan, server = cloud.attached()
    cloud.lose_server(server)
    expected[orphan] = "volume-attachment-orphaned"
    items = Driver(cloud, **reconciling(mode=Mode.DRY_RUN, databases=databases)).all()
    assert {item.id: item.finding for item in items} == expected


def test_each_danger_is_told_once(cloud: FakeCloud) -> None:
    volume, server = unheld(cloud)
    other = cloud.add_volume()
    cloud.add_mapping(server, other)
    cloud.set_volume(other, "in-use")
    driver = Driver(cloud, **reconciling())
    run = driver.run()
    run.repair(run.find([volume, other], named=True))
    [danger] = run.dangers
    assert volume in danger
    assert other in danger
