"""The directory of backups: what is in it, what is whole, who works in it, what appears and what goes.

A backup is a directory named by its time. It gets that name when all of it is on the disk, and loses it before
anything of it is removed; under a dotted name it is nobody's backup. What has another form of name is not ours.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsfix.backup.retention import Candidate
from opsfix.errors import BackupError, ConfigError, LockedError, OpsfixError, TargetNotFound

SCHEMA = "opsfix.backup-manifest/1"
MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
_NAME = re.compile(r"\d{8}T\d{6}Z(?:-\d+)?\Z")
#: Unfinished work, and what is being removed.
_RUBBISH = re.compile(r"\.\d{8}T\d{6}Z(?:-\d+)?\.(?:part|gone)\Z")
_CHECKED = ".checked.json"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Backup:
    """A backup of the directory; ``damage`` says what is wrong with it, None when nothing is known to be."""

    path: Path
    manifest: Mapping[str, Any]
    damage: str | None = None

    @property
    def name(self) -> str:
        """Its name: when it was begun, UTC."""
        return self.path.name

    @property
    def bytes(self) -> int:
        """Its size on the disk."""
        return sum(int(d.get("bytes", 0)) for d in self.databases)

    @property
    def databases(self) -> list[Mapping[str, Any]]:
        """What the manifest says of each database."""
        return list(self.manifest.get("databases", []))

    def candidate(self) -> Candidate:
        """The same for rotation."""
        sequence = self.manifest.get("sequence")
        started = datetime.strptime(self.name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return Candidate(self.name, sequence if isinstance(sequence, int) else 0, started, self.damage)


class Store:
    """The directory. Reading it needs no lock; whoever changes it holds ``alone``."""

    def __init__(self, root: Path):
        self.root = root

    def prepare(self) -> None:
        """Make the directory, closed to others, if it is not there; raises BackupError for a disk that takes nothing."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as e:
            raise _unwritable(self.root, e) from None
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise ConfigError(f"the directory {self.root} cannot be written: name another with --dir")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other backups out of the directory; raises LockedError when one is at work there."""
        try:
            descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as e:
            raise _unwritable(self.root, e) from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
                raise LockedError(
                    f"another backup is at work in {self.root} ({holder or 'starting'}): wait for it to end"
                ) from None
            with suppress(OSError):  # a full disk must not keep us from saying so later
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"pid {os.getpid()} on {socket.gethostname()}".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def names(self) -> list[str]:
        """The names of backups, whole or not, in the order of names."""
        try:
            found = [entry.name for entry in os.scandir(self.root) if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        except OSError as e:
            raise ConfigError(f"the directory {self.root} cannot be read: {e.strerror}") from None
        return sorted(name for name in found if _NAME.match(name))

    def read(self, name: str) -> Backup:
        """A backup by its name, looked at without reading its dumps: manifest, files, sizes.

        Raises TargetNotFound for a name that is not there.
        """
        if name not in self.names():
            raise TargetNotFound(f"there is no backup {name!r} in {self.root}: see 'opsfix db list'")
        path = self.root / name
        try:
            manifest = read_manifest(path)
            damage = _misshapen(path, manifest)
        except BackupError as e:
            return Backup(path, {}, str(e))
        return Backup(path, manifest, damage)

    def every(self) -> list[Backup]:
        """All backups, the newest first, by the order in which they were made."""
        found = [self.read(name) for name in self.names()]
        return sorted(found, key=lambda b: (b.candidate().sequence, b.name), reverse=True)

    def next_sequence(self) -> int:
        """The place of the next backup in the order."""
        return 1 + max((b.candidate().sequence for b in self.every()), default=0)

    def clean(self) -> list[str]:
        """Remove what earlier runs left unfinished; needs ``alone``. The names of what went."""
        removed = []
        for entry in list(os.scandir(self.root)):
            if _RUBBISH.match(entry.name) and entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
                removed.append(entry.name)
        return removed

    def begin(self, started: datetime) -> tuple[str, Path]:
        """A new name and the dotted directory to work in."""
        base = f"{started:%Y%m%dT%H%M%SZ}"
        name = next(n for n in (base, *(f"{base}-{i}" for i in range(2, 10_000))) if not os.path.lexists(self.root / n))
        part = self.root / f".{name}.part"
        try:
            part.mkdir(mode=0o700)
        except OSError as e:
            raise BackupError(f"nothing can be written in {self.root}: {e.strerror}") from None
        return name, part

    def publish(self, part: Path, name: str, manifest: Mapping[str, Any]) -> Backup:
        """Seal the directory, read it back, and give it its name. Raises BackupError when what is read is not what was
        written."""
        try:
            _write(part / MANIFEST, f"{json.dumps(manifest, indent=1)}\n".encode())
            _write(part / SUMS, _sums(part, {d["file"]: d["sha256"] for d in manifest["databases"]}))
            _sync(part)
        except OSError as e:
            raise BackupError(f"the backup cannot be finished in {self.root}: {e.strerror}") from None
        made = Backup(part, manifest, _misshapen(part, manifest))
        damage = made.damage or read_back(made)
        if damage:
            raise BackupError(f"what was read back is not what was written: {damage}")
        try:
            part.rename(self.root / name)
            _sync(self.root)
        except OSError as e:
            raise BackupError(f"the backup cannot be given its name in {self.root}: {e.strerror}") from None
        self._remember(name)
        return Backup(self.root / name, manifest)

    def checked(self) -> list[Backup]:
        """All backups, each read whole unless its files are exactly as they were when they were read last."""
        return [self.check(backup) for backup in self.every()]

    def check(self, backup: Backup, *, anew: bool = False) -> Backup:
        """The backup with what reading all of it shows; ``anew`` reads it whatever was read before."""
        if backup.damage or (not anew and self._memory().get(backup.name) == _stamp(backup.path)):
            return backup
        damage = read_back(backup)
        if damage is None:
            self._remember(backup.name)
        return Backup(backup.path, backup.manifest, damage)

    def remove(self, backup: Backup) -> None:
        """Take a backup's name from it, then remove it; raises BackupError for one that is being read."""
        gone = self.root / f".{backup.name}.gone"
        try:
            with in_use(backup.path, exclusive=True):
                backup.path.rename(gone)
                _sync(self.root)
        except BlockingIOError:
            raise BackupError(f"{backup.name} is being read by a restore or a check") from None
        except OSError as e:
            raise BackupError(f"{backup.name} cannot be removed: {e.strerror}") from None
        shutil.rmtree(gone, ignore_errors=True)

    def _memory(self) -> dict[str, Any]:
        try:
            found = json.loads((self.root / _CHECKED).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _remember(self, name: str) -> None:
        """Note that a backup was read whole; that is for speed alone, so a failure is none."""
        known = {n: stamp for n, stamp in self._memory().items() if n in self.names()} | {name: _stamp(self.root / name)}
        with suppress(OSError):
            _write(self.root / f"{_CHECKED}.part", json.dumps(known).encode())
            (self.root / f"{_CHECKED}.part").rename(self.root / _CHECKED)


def _unwritable(path: Path, error: OSError) -> OpsfixError:
    """A full disk is a failed backup; anything else is the wrong directory."""
    kind = BackupError if error.errno in (errno.ENOSPC, errno.EDQUOT) else ConfigError
    return kind(f"the directory {path} cannot be written: {error.strerror}: name another with --dir")


@contextmanager
def in_use(path: Path, *, exclusive: bool = False) -> Iterator[None]:
    """Hold a backup against removal while it is read; raises BlockingIOError for an exclusive hold of one in use."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def read_manifest(path: Path) -> dict[str, Any]:
    """A backup's manifest; raises BackupError for one that is missing, cut off, or of another form."""
    try:
        found = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except OSError as e:
        raise BackupError(f"{MANIFEST}: {e.strerror}") from None
    except ValueError:
        raise BackupError(f"{MANIFEST} is not what was written") from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise BackupError(f"{MANIFEST} is not of the form {SCHEMA}: was it made by another version of opsfix?")
    return found


def _misshapen(path: Path, manifest: Mapping[str, Any]) -> str | None:
    """What is wrong with the files by their names and sizes."""
    try:
        wanted = {str(d["file"]): int(d["bytes"]) for d in manifest["databases"]}
    except (KeyError, TypeError, ValueError):
        return f"{MANIFEST} is not what was written"
    if not wanted:
        return "it holds no database"
    if not (path / SUMS).is_file():
        return f"{SUMS} is missing"
    for file, size in wanted.items():
        try:
            found = (path / file).stat().st_size
        except OSError as e:
            return f"{file}: {e.strerror}"
        if found != size:
            return f"{file} has {found} bytes and had {size} when it was made"
    return None


def read_back(backup: Backup) -> str | None:
    """Read every file of a backup and compare it with both lists of hashes; what is wrong, None when nothing is."""
    try:
        wanted = {str(d["file"]): str(d["sha256"]) for d in backup.databases}
        if (backup.path / SUMS).read_bytes() != _sums(backup.path, wanted):
            return f"{SUMS} and {MANIFEST} do not agree: one of them is not what was written"
        for file, digest in wanted.items():
            if sha256(backup.path / file) != digest:
                return f"{file} is not what was written: its hash differs"
    except OSError as e:
        return f"it cannot be read: {e.strerror}"
    return None


def _sums(path: Path, digests: Mapping[str, str]) -> bytes:
    """The list of hashes, the manifest's with those that it holds, in the form of sha256sum."""
    every = {**digests, MANIFEST: sha256(path / MANIFEST)}
    return "".join(f"{digest}  {file}\n" for file, digest in sorted(every.items())).encode()


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_BLOCK):
            digest.update(piece)
    return digest.hexdigest()


def _stamp(path: Path) -> list[list[Any]]:
    """What changes when somebody writes to a backup's files."""
    found = []
    for entry in sorted(os.scandir(path), key=lambda e: e.name):
        stat = entry.stat(follow_symlinks=False)
        found.append([entry.name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino])
    return found


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
