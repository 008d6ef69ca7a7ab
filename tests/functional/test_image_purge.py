"""Images in every state, wanted and unwanted, on real services: what goes, what stays, and what the reason is."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
import pytest

from tests.functional.cloud import Lab, Ran, wait_until

GONE = {"status": "deleted", "deleted": 1}
DATA = b"\1" * 100000


class Images:
    """The lab's images: made, purged, and looked at past every API."""

    def __init__(self, lab: Lab):
        self.lab = lab
        self.api = lab.api.image

    def make(self, name: str = "bild", *, data: bool = True, **fields: Any) -> str:
        """A private image of the administrator's project, active unless it has no data."""
        body = {"name": name, "disk_format": "raw", "container_format": "bare", "visibility": "private"} | fields
        made = self.api.post("/images", json=body)
        assert made.status_code == 201, made.text
        image = made.json()["id"]
        if data:
            kind = {"Content-Type": "application/octet-stream"}
            answer = self.api.put(f"/images/{image}/file", data=DATA, headers=kind)
            assert answer.status_code == 204, answer.text
        return str(image)

    def purge(self, *arguments: str, **environ: str) -> Ran:
        """Run the command, whatever the age."""
        return self.lab.run("image", "purge", "--older-than", "0s", "-o", "json", *arguments, **environ)

    def status(self, image: str) -> str | None:
        """What the API says, None for its 404."""
        answer = self.api.get(f"/images/{image}")
        assert answer.status_code in (200, 404), answer.text
        return str(answer.json()["status"]) if answer.status_code == 200 else None

    def row(self, image: str) -> dict[str, Any]:
        """The end of it in glance's table."""
        return self.lab.rows("glance", "SELECT status, deleted FROM images WHERE id=%s", image)[0]

    def live(self, image: str) -> int:
        """Live rows that hang on it."""
        return sum(
            len(self.lab.rows("glance", f"SELECT id FROM {table} WHERE image_id=%s AND deleted=0", image))
            for table in ("image_locations", "image_properties", "image_members", "image_tags")
        )

    def file(self, image: str) -> Path:
        """Where the store keeps its data."""
        return Path(self.lab.environ["LAB_DIR"]) / "state" / "glance" / "images" / image

    def all(self) -> dict[str, Any]:
        """Every row of every image."""
        tables = {"images": "id", "image_locations": "image_id", "image_properties": "image_id", "image_tags": "image_id"}
        rows = [(row[key], table, row) for table, key in tables.items() for row in self.lab.rows("glance", f"SELECT * FROM {table}")]
        found: dict[str, Any] = {}
        for image, table, row in rows:
            found.setdefault(image, []).append((table, row))
        return found

    def assert_gone(self, ran: Ran, image: str, by: str = "api") -> dict[str, Any]:
        """It was purged, and nothing that hangs on it is left."""
        item = ran.item(image)
        assert (ran.code, item["outcome"], item["by"]) == (0, "repaired", by), ran.out
        assert (self.status(image), self.row(image), self.live(image)) == (None, GONE, 0)
        return item

    def assert_refused(self, ran: Ran, image: str, *says: str) -> dict[str, Any]:
        """Its reason was told."""
        item = ran.item(image)
        assert (ran.code, item["outcome"]) == (5, "refused"), ran.out
        assert [words for words in says if words not in item["reason"]] == [], item["reason"]
        return item


@pytest.fixture
def images(cloud: Lab) -> Iterator[Images]:
    """The lab's images; those that were there before are afterwards as they were, and so are their data."""
    images = Images(cloud)
    images.make("bystander", tags=["tag"], base_property="value")
    before = images.all()
    yield images
    after = images.all()
    assert {image: after[image] for image in before} == before
    assert [i for i, rows in before.items() if rows[0][1]["status"] == "active" and not images.file(i).exists()] == []


@contextmanager
def unchanged(images: Images) -> Iterator[None]:
    """Nothing of any image is changed."""
    before = images.all()
    yield
    assert images.all() == before


# what goes


def test_what_is_stuck_goes(images: Images) -> None:
    states = ("queued", "saving", "uploading", "importing", "deactivated")
    stuck = {state: images.lab.broken(f"image-{state}")["images"][0] for state in states}
    stuck["killed"] = images.make(data=False)
    _root(images.lab, "UPDATE images SET status='killed' WHERE id=%s", stuck["killed"])
    assert {state: images.status(image) for state, image in stuck.items()} == {state: state for state in stuck}

    ran = images.purge(*stuck.values())

    for image in stuck.values():
        images.assert_gone(ran, image)
    for state in ("saving", "importing"):
        assert images.file(stuck[state]).exists(), "glance has learnt to clean up: say so in the runbook"
        assert str(images.file(stuck[state]).parent) in ran.item(stuck[state])["reason"]
    assert not images.file(stuck["deactivated"]).exists()
    again = images.purge(*stuck.values())
    assert (again.code, {i["outcome"] for i in again.report["items"]}) == (0, {"healthy"})


def test_active_images_go_by_their_names(images: Images) -> None:
    name = "ímage 像 'quoted' -- \"x\""
    kinds: tuple[dict[str, Any], ...] = ({}, {"visibility": "public"}, {"visibility": "community"}, {"os_hidden": True})
    made = {f"{name} {number}": images.make(f"{name} {number}", **kind) for number, kind in enumerate(kinds)}
    other = images.make(f"{name} 0 ")

    ran = images.purge("--", *made)

    for image in made.values():
        images.assert_gone(ran, image)
        assert not images.file(image).exists()
    assert images.status(other) == "active"


def test_a_deletion_that_died_in_the_middle_is_ended_by_sql(images: Images) -> None:
    image, half = images.make(), images.lab.broken("image-half-deleted")["images"][0]
    assert images.status(half) == "deleted"
    with unchanged(images):
        dry = images.purge(image, half, "--dry-run")
        shown = images.purge(half)
    assert (dry.code, {i["outcome"] for i in dry.report["items"]}) == (3, {"needs_commit"})
    assert {s["kind"] for s in dry.item(half)["steps"]} == {"api", "sql"}
    assert {s["kind"] for s in dry.item(image)["steps"]} == {"api"}
    assert (shown.code, shown.item(half)["outcome"]) == (3, "needs_commit")
    assert "from deleted to deleted is not allowed" in shown.out

    images.assert_gone(images.purge(half, "--commit"), half, by="sql")
    assert images.status(image) == "active"


# who is asked first


def test_what_somebody_needs_stays_until_nobody_does(images: Images, tmp_path: Path) -> None:
    booted, base, kept = images.make(visibility="public"), images.make("base"), images.make("kept", protected=True)
    snapshot = images.make("snapshot", base_image_ref=base)
    server = _server(images.lab, image_id=booted)
    shelved = images.lab.broken("shelved")["servers"][0]
    [row] = images.lab.rows(
        "nova", "SELECT value FROM instance_system_metadata WHERE instance_uuid=%s AND `key`='shelved_image_id' AND deleted=0", shelved
    )
    disk = row["value"]
    reasons = {
        booted: ("1 servers were booted from it", server), disk: ("disk of a shelved server", shelved),
        base: ("other images name it", snapshot), kept: ("protected", "--unprotect"),
    }
    with unchanged(images):
        for ran in (images.purge(*reasons, "--commit"), images.purge(*reasons, OPSFIX_SERVICES_CONF_DIR=str(tmp_path))):
            assert ran.code == 5
            for image, says in reasons.items():
                images.assert_refused(ran, image, *says)

    images.lab.api.compute.delete_server(server)
    wait_until(lambda: not [s for s in images.lab.api.compute.servers(all_projects=True) if s.id == server], 30, "its end")
    free = images.purge(snapshot, booted, kept, "--unprotect", OPSFIX_SERVICES_CONF_DIR=str(tmp_path))
    for image in (snapshot, booted, kept):
        images.assert_gone(free, image)
    images.assert_gone(images.purge(base), base)
    assert images.purge(base, OPSFIX_SERVICES_CONF_DIR=str(tmp_path)).code == 4


def test_what_is_being_copied_to_a_boot_volume_stays(images: Images, tmp_path: Path) -> None:
    image = images.make(visibility="public")
    for host in ("cinder-01", "cinder-02"):
        images.lab.hold(host, "copy_image_to_volume")
    server = _server(images.lab, ready=False, block_device_mapping=[{
        "uuid": image, "source_type": "image", "destination_type": "volume", "boot_index": 0, "volume_size": 1,
        "delete_on_termination": True,
    }])
    volumes = images.lab.api.block_storage
    wait_until(lambda: [*volumes.volumes(all_projects=True, status="downloading")], 60, "a copy")
    [copy] = volumes.volumes(all_projects=True, status="downloading")
    with unchanged(images):
        item = images.assert_refused(images.purge(image), image, "servers are being built that may need it", server)
        assert item["facts"]["volumes.ids"] == copy.id
        images.assert_refused(images.purge(image, OPSFIX_SERVICES_CONF_DIR=str(tmp_path)), image, "being built", server)
    for host in ("cinder-01", "cinder-02"):
        images.lab.release(host)
    wait_until(lambda: images.lab.api.compute.get_server(server).status == "ACTIVE", 60, "the server")
    images.assert_gone(images.purge(image), image)


def test_a_snapshot_in_the_making_stays_until_its_server_is_let_go(images: Images) -> None:
    made = images.lab.broken("image-snapshot-killed")
    image, server = made["images"][0], made["servers"][0]
    with unchanged(images):
        images.assert_refused(images.purge(image), image, "of which it is a snapshot, is busy", server)
    images.lab.api.compute.reset_server_state(server, "active")
    images.assert_gone(images.purge(image), image)


def test_an_upload_that_goes_on_is_left_alone(images: Images) -> None:
    image = images.lab.broken("image-upload-hung")["images"][0]
    ran = images.lab.run("image", "purge", image, "-o", "json")
    images.assert_refused(ran, image, "less than --older-than ago")
    images.lab.release("glance")
    wait_until(lambda: images.status(image) == "active", 30, "the end of the upload")


def test_the_copies_that_cinder_caches_go_through_cinder(images: Images, tmp_path: Path) -> None:
    image = images.make()
    volume = images.lab.api.block_storage.create_volume(name=f"image-{image}", size=1, volume_type="cinder-01").id
    wait_until(lambda: images.lab.api.block_storage.get_volume(volume).status == "available", 30, "the volume")
    without = images.purge(image, OPSFIX_SERVICES_CONF_DIR=str(tmp_path))
    images.assert_refused(without, image, "may be cinder's cached copies", volume)
    _root(
        images.lab, "INSERT INTO cinder.image_volume_cache_entries (image_id, volume_id, host, size, last_used)"
        " SELECT %s, id, host, 1, UTC_TIMESTAMP() FROM cinder.volumes WHERE id=%s", image, volume,
    )

    ran = images.purge(image)

    item = images.assert_gone(ran, image)
    assert item["finding"] == "image-cached"
    assert images.lab.rows("cinder", "SELECT deleted FROM volumes WHERE id=%s", volume) == [{"deleted": 1}]
    assert images.lab.rows("cinder", "SELECT id FROM image_volume_cache_entries WHERE image_id=%s", image) == []


# when glance says no


def test_what_the_store_refuses_is_not_orphaned(images: Images) -> None:
    """The store cannot delete the file: glance answers 403, and the data stays known to it."""
    image = images.make(protected=True)
    file = images.file(image)
    file.unlink()
    file.mkdir()
    try:
        ran = images.purge(image, "--unprotect", "--commit")
    finally:
        file.rmdir()
    images.assert_refused(ran, image, "refused by the service (HTTP 403", "a store may still have its data (1 locations)")
    assert images.row(image) == {"status": "active", "deleted": 0}
    assert images.api.get(f"/images/{image}").json()["protected"] is True
    images.assert_gone(images.purge(image, "--unprotect"), image)


def test_no_answer_leads_to_no_sql(images: Images) -> None:
    image = images.make()
    images.lab.fail("glance", "delete")
    ran = images.purge(image, "--commit", OPSFIX_DEADLINE="1")
    assert (ran.code, ran.item(image)["outcome"]) == (6, "unknown"), ran.out
    assert {s["kind"] for s in ran.item(image)["steps"]} == {"api"}
    images.lab.kill("glance")
    try:
        dead = images.purge(image, "--commit")
    finally:
        images.lab.release("glance")
        images.lab.revive("glance")
    assert (dead.code, dead.out, len(dead.err.strip().splitlines())) == (7, "", 1), dead.err
    assert images.row(image) == {"status": "active", "deleted": 0}
    images.assert_gone(images.purge(image), image)


# what waits for glance-scrubber


def test_delayed_deletion_is_the_scrubbers(images: Images) -> None:
    """glance with delayed_delete: the purge is done when glance is, the data is glance-scrubber's, and what it forgot is SQL's."""
    image, other = images.make("delayed"), images.make()
    with _configured(images.lab, "delayed_delete = true"):
        ran = images.purge("delayed")
        assert (ran.code, ran.item(image)["outcome"]) == (0, "repaired"), ran.out
        assert "glance-scrubber" in ran.item(image)["reason"]
        assert images.purge(other).code == 0
    for target in ("delayed", image):
        images.assert_refused(images.purge(target, "--commit"), image, "run glance-scrubber", f"--restore {image}")
    assert images.file(image).exists()
    _root(images.lab, "UPDATE image_locations SET status='deleted' WHERE image_id=%s", other)

    waiting = images.purge(other)
    assert (waiting.code, waiting.item(other)["outcome"]) == (3, "needs_commit"), waiting.out
    images.assert_gone(images.purge(other, "--commit"), other, by="sql")

    _scrub(images.lab)
    assert images.row(image) == GONE
    assert not images.file(image).exists()
    assert images.purge(image).code == 0


# who is meant, and which cloud


def test_a_name_must_be_one_images(images: Images) -> None:
    twins = [images.make("twin"), images.make("twin")]
    with unchanged(images):
        ran = images.purge("twin")
        unknown = images.purge("no such image", "00000000-0000-4000-8000-000000000000", "in:cirros", "🐧", "../images")
    assert ran.code == 2
    assert all(twin in ran.err for twin in twins)
    assert (unknown.code, [i["outcome"] for i in unknown.report["items"]]) == (4, ["failed"] * 5)


def test_a_stale_copy_of_glances_database_stops_the_run(images: Images) -> None:
    url = images.lab.urls()["glance"]
    copy = f"{url.database}_stale"
    _root(images.lab, f"DROP DATABASE IF EXISTS {copy}", f"CREATE DATABASE {copy}", *(
        f"CREATE TABLE {copy}.{table} AS SELECT * FROM {table}" for table in ("images", "image_locations", "alembic_version")
    ), f"GRANT ALL ON {copy}.* TO '{url.username}'@'127.0.0.1'")
    image = images.make()
    with unchanged(images):
        ran = images.purge(image, OPSFIX_DATABASE_GLANCE=url.set(database=copy).render_as_string(hide_password=False))
    assert (ran.code, ran.out) == (5, "")
    assert "the database of glance is not the one behind the API" in ran.err


def _root(lab: Lab, *statements: str) -> None:
    """Write to glance's database as nobody should; a last argument is the value of one statement's parameter."""
    url = lab.urls()["glance"]
    root = pymysql.connect(host=url.host, port=url.port, user="root", password="lab-root", database=url.database, autocommit=True)
    with root, root.cursor() as cursor:
        if "%s" in statements[0]:
            cursor.execute(statements[0], statements[1:])
            return
        for statement in statements:
            cursor.execute(statement)


def _server(lab: Lab, *, ready: bool = True, **options: Any) -> str:
    flavor = lab.api.compute.find_flavor("m1.tiny").id
    server = str(lab.api.compute.create_server(name="user", flavor_id=flavor, networks="none", **options).id)
    if ready:
        wait_until(lambda: lab.api.compute.get_server(server).status == "ACTIVE", 60, "the server")
    return server


@contextmanager
def _configured(lab: Lab, setting: str) -> Iterator[None]:
    """glance with another setting, for a while."""
    path = Path(lab.environ["OPSFIX_SERVICES_CONF_DIR"]) / "glance" / "glance-api.conf"
    text = path.read_text()
    path.write_text(f"{text}\n[DEFAULT]\n{setting}\n")
    lab.kill("glance")
    lab.revive("glance")
    try:
        yield
    finally:
        path.write_text(text)
        lab.kill("glance")
        lab.revive("glance")


def _scrub(lab: Lab) -> None:
    """Run glance's own scrubber once."""
    venv = Path(lab.environ.get("LAB_VENV") or Path(lab.environ["LAB_DIR"]) / "venv")
    path = Path(lab.environ["OPSFIX_SERVICES_CONF_DIR"]) / "glance" / "glance-api.conf"
    done = subprocess.run(
        [venv / "bin" / "glance-scrubber", "--config-file", path], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
