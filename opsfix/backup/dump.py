"""One dump: a program that waits at its gate, takes its snapshot, and is read into a compressed file."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import select
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import zstandard

from opsfix.backup.programs import CONVERTED, Gated, dump_arguments, option_text, program, rows_of
from opsfix.backup.scan import Scan
from opsfix.errors import BackupError, ConfigError
from opsfix.gateways.servers import Account

#: Bytes read at once, and the room of a pipe.
PIECE = 1 << 20
#: A dump that waits for its turn is let on by so much every so many seconds: the server would take it for dead.
TRICKLE, PATIENCE = 4 * PIECE, 8.0
#: Seconds without a byte after which a dump is given up.
STALL = 600.0
#: On rows of services it packs no worse than 3, in less than half the time.
LEVEL = 2
#: What the program says when its transaction has begun, and with it its snapshot.
_BEGUN = re.compile(r"-- (Setting savepoint|Retrieving )")
_LOGIN = re.compile(r"\b(1045|1698|1130|2002|2003|2005|2026)\b")


@dataclass(frozen=True)
class Dumped:
    """A finished dump: its file's bytes and SHA-256, the dump's own bytes, and what the scan found in it."""

    database: str
    bytes: int
    sha256: str
    scan: Scan


class Sink:
    """A file that grows compressed and hashed while it is written; nothing of it is seen by others than its owner."""

    def __init__(self, path: Path):
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._compress = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()
        self._hash, self.bytes = hashlib.sha256(), 0

    def write(self, piece: bytes) -> None:
        """Take a piece of the dump."""
        self._store(self._compress.compress(piece))

    def finish(self) -> str:
        """End the file and bring it to the disk; its SHA-256."""
        self._store(self._compress.flush())
        os.fsync(self._descriptor)
        with suppress(OSError):  # what is read back later shall come from the disk
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        return self._hash.hexdigest()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _store(self, data: bytes) -> None:
        self._hash.update(data)
        self.bytes += len(data)
        while data:
            data = data[os.write(self._descriptor, data):]


class Dump:
    """A database's dump. Opened, it connects and takes its snapshot; given its turn, it is read to its end."""

    def __init__(
        self, account: Account, database: str, path: Path | None, *, one_a_line: bool = False, mariadb: bool = True,
        tables: tuple[str, ...] = (), names: str = CONVERTED,
    ):  # fmt: skip
        """Start the program, which waits. ``path`` None keeps no file: only the scan is wanted."""
        dumper = program("dump", mariadb=mariadb)
        self.account, self.database, self.names, self._path = account, database, names, path
        self.scan = Scan(rows_of(dumper, one_a_line=one_a_line))
        self.turn, self.begun = threading.Event(), threading.Event()
        self._stop = threading.Event()
        self._words: list[str] = []
        self._gated = Gated(
            [dumper, *dump_arguments(dumper, database, one_a_line=one_a_line, tables=tables, names=names)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        self._process = self._gated.process
        assert self._process.stdout is not None
        with suppress(OSError):
            fcntl.fcntl(self._process.stdout, fcntl.F_SETPIPE_SZ, PIECE)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def waits(self) -> bool:
        """Whether it is at its gate."""
        return self._gated.waits()

    def open(self) -> None:
        """Let it connect."""
        self._gated.open(option_text(self.account))

    def end(self) -> None:
        """Stop it wherever it is, and wait until it is gone."""
        self._stop.set()
        self.turn.set()
        self._gated.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._listener.join(5)

    def alive(self) -> bool:
        """Whether it is still at work; a small one may be through at once."""
        return self._process.poll() is None

    def file_name(self) -> str:
        """The name of its file, empty when it keeps none."""
        return self._path.name if self._path else ""

    def run(self) -> Dumped:
        """Read it to its end, in its turn. Raises BackupError, ConfigError when the server refused the login."""
        sink = Sink(self._path) if self._path else None
        try:
            self._read(sink)
            self._check()
            digest = sink.finish() if sink else ""
            return Dumped(self.database, sink.bytes if sink else 0, digest, self.scan)
        except OSError as e:
            raise BackupError(f"the dump of {self.database} cannot be written: {e.strerror}") from None
        finally:
            if sink:
                sink.close()

    def _read(self, sink: Sink | None) -> None:
        credit = 0
        next_trickle = time.monotonic() + PATIENCE
        for piece in self._pieces():
            self.scan.feed(piece)
            if sink:
                sink.write(piece)
            credit -= len(piece)
            if credit <= 0 and not self.turn.is_set():
                self.turn.wait(max(0.0, next_trickle - time.monotonic()))
                credit, next_trickle = TRICKLE, time.monotonic() + PATIENCE

    def _pieces(self) -> Iterator[bytes]:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        while not self._stop.is_set():
            if not select.select([descriptor], [], [], STALL)[0]:
                raise BackupError(f"the dump of {self.database} stood still for {STALL:.0f} s: is the server hanging?")
            piece = os.read(descriptor, PIECE)
            if not piece:
                return
            yield piece

    def _check(self) -> None:
        """What tells a whole dump: the exit status, the program's own mark at the end."""
        if self._stop.is_set():
            raise BackupError(f"the dump of {self.database} was stopped")
        status = self._process.wait()
        self._listener.join(30)
        said = self.complaint()
        if status != 0:
            kind = ConfigError if _LOGIN.search(said) else BackupError
            raise kind(f"the dump of {self.database} failed (exit status {status}): {said or 'without a word'}")
        if not self.scan.whole:
            raise BackupError(f"the dump of {self.database} has no mark of its end: it was cut off")

    def complaint(self) -> str:
        """What the program said that is no progress."""
        return "; ".join(self._words[:5])

    def _listen(self) -> None:
        """Its words: progress, by which the snapshot is known, and complaints."""
        assert self._process.stderr is not None
        with self._process.stderr as words:
            for line in words:
                text = line.decode(errors="replace").strip()
                if _BEGUN.match(text):
                    self.begun.set()
                elif text and not text.startswith("-- "):
                    self._words.append(text)
        self.begun.set()  # it has ended: there is nothing left to wait for
