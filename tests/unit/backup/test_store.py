"""The directory of backups without any database: names, damage, leftovers, and forty nights."""

from __future__ import annotations

import hashlib
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opsfix.backup.nightly import Night, _rotate
from opsfix.backup.retention import Policy
from opsfix.backup.store import MANIFEST, SCHEMA, SUMS, Backup, Store, in_use
from opsfix.errors import BackupError, LockedError, TargetNotFound

NIGHT = datetime(2026, 1, 1, 2, 10, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty directory of backups."""
    found = Store(tmp_path / "backups")
    found.prepare()
    return found


def made(store: Store, when: datetime = NIGHT, content: bytes = b"rows", *, fails: bool = False) -> Backup | None:
    """A backup with two files; or one that ends in the middle."""
    sequence = store.next_sequence()
    name, part = store.begin(when)
    databases = []
    for database in ("nova", "cinder"):
        data = content + database.encode()
        (part / f"{database}.sql.zst").write_bytes(data)
        if fails:
            return None
        digest = hashlib.sha256(data).hexdigest()
        databases.append({"database": database, "file": f"{database}.sql.zst", "bytes": len(data), "sha256": digest})
    stamp = when.isoformat().replace("+00:00", "Z")
    return store.publish(part, name, {
        "schema": SCHEMA, "backup": name, "sequence": sequence, "started": stamp, "finished": stamp, "seconds": 1.0,
        "databases": databases, "servers": [],
    })  # fmt: skip


def rotated(store: Store, **rules: int) -> list[str]:
    """Rotate as after a good night; what is left, oldest first."""
    _rotate(store, Policy(**rules), Night(None), lambda _: None)
    return store.names()


def test_a_backup_gets_its_name_when_it_is_whole(store: Store) -> None:
    assert made(store, fails=True) is None
    assert store.names() == []
    assert [p.name for p in store.root.iterdir() if p.is_dir()] == [".20260101T021000Z.part"]
    assert store.clean() == [".20260101T021000Z.part"]
    assert made(store)
    assert [(b.name, b.damage) for b in store.checked()] == [("20260101T021000Z", None)]


def test_two_of_one_second_have_two_names(store: Store) -> None:
    assert [made(store).name for _ in range(3)] == [  # type: ignore[union-attr]
        "20260101T021000Z", "20260101T021000Z-2", "20260101T021000Z-3",
    ]
    assert [b.name for b in store.every()] == ["20260101T021000Z-3", "20260101T021000Z-2", "20260101T021000Z"]


def test_what_was_not_written_right_gets_no_name(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    name, part = store.begin(NIGHT)
    (part / "nova.sql.zst").write_bytes(b"half")
    entry = {"database": "nova", "file": "nova.sql.zst", "bytes": 4, "sha256": hashlib.sha256(b"full").hexdigest()}
    with pytest.raises(BackupError, match="read back"):
        store.publish(part, name, {"schema": SCHEMA, "databases": [entry]})
    with pytest.raises(BackupError, match="holds no database"):
        store.publish(part, name, {"schema": SCHEMA, "databases": []})
    assert store.names() == []


def every_byte(path: Path) -> list[int]:
    size = path.stat().st_size
    return sorted({0, size // 3, size // 2, size - 2, *random.Random(7).sample(range(size), 12)})


def test_a_flipped_byte_anywhere_is_found(store: Store) -> None:
    backup = made(store, content=b"x" * 5000)
    assert backup
    for path in sorted(backup.path.iterdir()):
        whole = path.read_bytes()
        for place in every_byte(path):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1:])
            assert store.checked()[0].damage, (path.name, place)
        path.write_bytes(whole)
        assert store.checked()[0].damage is None


def test_damage_that_keeps_the_times_is_found(store: Store) -> None:
    backup = made(store)
    assert backup
    path = backup.path / "nova.sql.zst"
    before = path.stat()
    path.write_bytes(b"ROWSnova")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.checked()[0].damage == "nova.sql.zst is not what was written: its hash differs"


@pytest.mark.parametrize("file", ["nova.sql.zst", MANIFEST, SUMS])
def test_a_missing_or_truncated_file_is_found_without_reading(store: Store, file: str) -> None:
    backup = made(store)
    assert backup
    (backup.path / file).rename(backup.path / "elsewhere")
    assert file in str(store.every()[0].damage)
    (backup.path / "elsewhere").rename(backup.path / file)
    os.truncate(backup.path / file, 3)
    assert store.checked()[0].damage


def test_foreign_files_are_nobodys(store: Store) -> None:
    made(store)
    for name in ("notes.txt", ".hidden", "nova.sql.gz"):
        (store.root / name).write_text("mine")
    for name in ("2026", "20260101T021000Z.old", ".20260101.part", "backup-20260101T021000Z"):
        (store.root / name).mkdir()
    (store.root / "20260102T021000Z").symlink_to(store.root / "2026")
    before = sorted(p.name for p in store.root.iterdir())
    assert store.clean() == []
    made(store, NIGHT + timedelta(days=1))
    assert rotated(store, last=1) == ["20260102T021000Z-2"]
    assert set(before) - {p.name for p in store.root.iterdir()} == {"20260101T021000Z"}


def test_one_that_is_being_read_stays(store: Store) -> None:
    old, _ = made(store), made(store, NIGHT + timedelta(days=1))
    assert old
    told: list[str] = []
    night = Night(None)
    with in_use(old.path):
        _rotate(store, Policy(last=1), night, told.append)
    assert old.name in store.names()
    assert "being read" in told[0]
    assert int(night.exit_code) == 4
    assert rotated(store, last=1) == ["20260102T021000Z"]


def test_a_removal_that_was_cut_off_leaves_nothing_that_looks_good(store: Store) -> None:
    made(store)
    (store.root / "20260101T021000Z").rename(store.root / ".20260101T021000Z.gone")
    assert store.names() == []
    assert store.clean() == [".20260101T021000Z.gone"]


def test_one_at_a_time(store: Store) -> None:
    with store.alone(), pytest.raises(LockedError), Store(store.root).alone():
        pass
    with store.alone():
        pass


def test_a_name_that_is_not_there(store: Store) -> None:
    for name in ("20260101T021000Z", "../backups", ".lock", ""):
        with pytest.raises(TargetNotFound):
            store.read(name)


def test_forty_nights_with_failures_and_a_clock_that_jumps_back(store: Store) -> None:
    """After each night the last ten good ones are there, in the order in which they were made."""
    dice = random.Random(1)
    good: list[str] = []
    for night in range(40):
        when = NIGHT + timedelta(days=night if night < 20 else night - 300)
        with store.alone():
            store.clean()
            backup = made(store, when, os.urandom(100), fails=dice.random() < 0.3)
            if backup:
                good.append(backup.name)
                rotated(store, last=10)
        assert sorted(store.names()) == sorted(good[-10:]), night
        assert {b.damage for b in store.checked()} <= {None}
    assert 20 < len(good) < 36


def test_thirty_failed_nights_take_nothing_away(store: Store) -> None:
    kept = [made(store, NIGHT + timedelta(days=d)) for d in range(3)]
    for night in range(30):
        store.clean()
        made(store, NIGHT + timedelta(days=3 + night), fails=True)
    assert store.names() == [b.name for b in kept if b]
