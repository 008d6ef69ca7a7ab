"""The journal of a run: on disk before the change that it speaks of.

``STATE/runs/RUN/`` holds ``run.json`` (who, when, what), ``journal.jsonl`` (one event a line) and, at the end,
``report.json``; mode 0700, because rows' images may hold secrets. A value that JSON has not is kept as
``{"$type": ..., "value": ...}`` so that undo gets back exactly what was read.
"""

from __future__ import annotations

import base64
import fcntl
import getpass
import hashlib
import json
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from opsfix.errors import ConfigError, JournalError, LockedError


def now() -> str:
    """The present as the journal and reports write it, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode(value: Any) -> Any:
    """Make a value of a database row, or of facts, fit for JSON without losing its type."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        plain = {str(k): encode(v) for k, v in value.items()}
        return {"$type": "dict", "value": plain} if "$type" in plain else plain
    if isinstance(value, (list, tuple, set, frozenset)):
        return [encode(v) for v in value]
    for kind, write, _ in _TYPES:
        if isinstance(value, kind):
            return {"$type": kind.__name__, "value": write(value)}
    return str(value)


def decode(value: Any) -> Any:
    """The inverse of encode for row values."""
    if isinstance(value, dict) and set(value) == {"$type", "value"}:
        if value["$type"] == "dict":
            return {k: decode(v) for k, v in value["value"].items()}
        return next(read for kind, _, read in _TYPES if kind.__name__ == value["$type"])(value["value"])
    if isinstance(value, dict):
        return {k: decode(v) for k, v in value.items()}
    return [decode(v) for v in value] if isinstance(value, list) else value


_TYPES: tuple[tuple[type, Callable[[Any], Any], Callable[[Any], Any]], ...] = (
    (datetime, datetime.isoformat, datetime.fromisoformat),
    (date, date.isoformat, date.fromisoformat),
    (timedelta, timedelta.total_seconds, lambda seconds: timedelta(seconds=seconds)),
    (Decimal, str, Decimal),
    (bytes, lambda b: base64.b64encode(b).decode(), base64.b64decode),
)


def state_dir(given: str | None) -> Path:
    """Where runs are kept: the given directory, root's /var/lib/opsfix, else the user's XDG state.

    Raises ConfigError for a user who has no home.
    """
    if given:
        return Path(given)
    if os.geteuid() == 0:
        return Path("/var/lib/opsfix")
    try:
        return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "opsfix"
    except RuntimeError:
        raise ConfigError("there is no home directory to keep the journal in: name a place with --state-dir") from None


class Journal:
    """One run's journal; safe to use from several threads, which share each fsync."""

    def __init__(self, root: Path, command: str, mode: str, arguments: list[str], cloud: str, **more: Any):
        """Create the run's directory; ``more`` is kept in run.json. Raises ConfigError when that is not possible."""
        started = datetime.now(UTC)
        self.run = f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        self.path = root / "runs" / self.run
        self._lock, self._disk = threading.Lock(), threading.Lock()
        self._written = self._synced = 0
        try:
            private(root)
            private(root / "runs")
            self.path.mkdir(mode=0o700)
            _sync(root)
            _sync(root / "runs")
            self._file = os.open(self.path / "journal.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)  # what tells a run at work from one that died
        except OSError as e:
            raise ConfigError(f"the journal cannot be kept in {root} ({e.strerror}): name another place with --state-dir") from e
        self._whole("run.json", {
            "schema": "opsfix.run/1", "run": self.run, "command": command, "mode": mode, "arguments": arguments,
            "cloud": cloud, "user": _user(), "host": socket.gethostname(), "pid": os.getpid(), "started": now(),
        } | more)

    def note(self, event: str, /, **data: Any) -> None:
        """Write an event; it reaches the disk with the next one that must."""
        line = json.dumps({"time": now(), "event": event} | encode(data), ensure_ascii=False) + "\n"
        with self._lock:
            try:
                _write(self._file, _utf8(line))
            except OSError as e:
                raise JournalError(f"the journal {self.path} cannot be written ({e.strerror}): nothing more was changed") from e
            self._written += 1

    def record(self, event: str, /, **data: Any) -> None:
        """Write an event and return when it is on disk; raises JournalError, before which nothing may be changed."""
        self.note(event, **data)
        with self._lock:
            mine = self._written
        with self._disk:
            if self._synced >= mine:
                return
            with self._lock:
                upto = self._written
            try:
                os.fsync(self._file)
            except OSError as e:
                raise JournalError(f"the journal {self.path} cannot be written ({e.strerror}): nothing more was changed") from e
            self._synced = upto

    def close(self, report: dict[str, Any]) -> None:
        """Keep the report; the run is then complete."""
        self._whole("report.json", report)
        os.close(self._file)

    def _whole(self, name: str, content: dict[str, Any]) -> None:
        path = self.path / name
        part = path.with_name(f".{name}")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                _write(descriptor, _utf8(json.dumps(encode(content), ensure_ascii=False, indent=1)))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            part.rename(path)
            _sync(self.path)
        except OSError as e:
            raise JournalError(f"the journal {self.path} cannot be written ({e.strerror})") from e


def _sync(directory: Path) -> None:
    """Let what was made in the directory survive a loss of power."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _utf8(text: str) -> bytes:
    """What UTF-8 has not, as in an argument that was none, becomes JSON's own escape and reads back as it was."""
    return text.encode(errors="backslashreplace")


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data):]


def private(path: Path) -> None:
    """Make the directory, or take one that is there: who else may write to it could forge what undo puts back."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise ConfigError(f"{path} belongs to user {found.st_uid}, not to you: name another place with --state-dir")
    if found.st_mode & 0o022:
        raise ConfigError(f"others may write to {path}, which holds images of rows: chmod 700 {path}")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


@contextmanager
def host_lock(root: Path, cloud: str) -> Iterator[None]:
    """Keep other runs of this host off the same cloud; raises LockedError when one is at work."""
    path = root / f"lock-{hashlib.sha256(_utf8(cloud)).hexdigest()[:12]}"
    try:
        private(root)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as e:
        raise ConfigError(f"the lock {path} cannot be made ({e.strerror}): name another place with --state-dir") from e
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
            raise LockedError(f"another run is at work on this cloud ({holder or 'starting'}): wait for it to end") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"pid {os.getpid()} on {socket.gethostname()} since {now()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)
