"""Reads dumps back: into a server through its own client, in part, or row by row; and compares what a server holds with a
manifest."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from opsfix.backup.dump import PIECE, Dump
from opsfix.backup.programs import CONVERTED, Gated, option_text, program
from opsfix.backup.scan import Scan, rows_in
from opsfix.errors import BackupError
from opsfix.gateways.servers import Account

_STRUCTURE = b"-- Table structure for table `"
#: Sections of a dump besides tables; each begins like this after a line of "--".
_SECTIONS = (_STRUCTURE, b"-- Sequence structure", b"-- Temporary ", b"-- Final view", b"-- Dumping events", b"-- Dumping routines")
_FOOTER = b"/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */"


def pieces(path: Path) -> Iterator[bytes]:
    """A dump's text; raises BackupError for a file that is no whole dump of ours."""
    try:
        with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file, read_size=PIECE) as stream:
            while piece := stream.read(PIECE):
                yield piece
    except OSError as e:
        raise BackupError(f"{path.name} cannot be read: {e.strerror}") from None
    except zstandard.ZstdError:
        raise BackupError(f"{path.name} is not what was written") from None


def lines(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same text line by line."""
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest


def only_tables(parts: Iterable[bytes], tables: Sequence[str]) -> Iterator[bytes]:
    """The text of some tables, with the dump's own beginning and end, its settings."""
    wanted = {_STRUCTURE + name.replace("`", "``").encode(errors="surrogateescape") + b"`\n" for name in tables}
    taking = True
    for line in lines(parts):
        if line.startswith(_SECTIONS):
            taking = line in wanted
        elif line.startswith(_FOOTER):
            taking = True
        if taking:
            yield line


def rows_with(parts: Iterable[bytes], word: str, kind: str) -> Iterator[tuple[str, bytes]]:
    """Table and text of every row in which a value is the word."""
    quoted = b"'" + word.encode() + b"'"
    for table, row in rows_in(lines(parts), kind):
        if quoted in row:
            yield table, row


def load(account: Account, database: str, text: Iterable[bytes], *, mariadb: bool = True) -> None:
    """Feed a dump to the server's client. Raises BackupError with the client's words when the server refuses any of it."""
    with tempfile.TemporaryFile() as said:
        gated = Gated(
            [program("client", mariadb=mariadb), "--batch", "--default-character-set=utf8mb4", "--max-allowed-packet=1G", "--", database],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said.fileno(),
        )
        process = gated.process
        assert process.stdin is not None
        try:
            gated.open(option_text(account))
            try:
                for piece in text:
                    process.stdin.write(piece)
                process.stdin.close()
            except BrokenPipeError:
                pass  # the client has ended; its words say why
            status = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        said.seek(0)
        words = " ".join(said.read(2000).decode(errors="replace").split())
    if status != 0:
        raise BackupError(f"{database} at {account} could not be loaded: {words or f'exit status {status}'}")


@dataclass(frozen=True)
class Difference:
    """A table that is not as the manifest has it."""

    table: str
    text: str


def compare(wanted: Sequence[Mapping[str, Any]], found: Scan) -> list[Difference]:
    """Tables, row counts and digests of a manifest against those of a dump made now."""
    expected = {str(t["name"]): t for t in wanted}
    differences = [Difference(name, "is missing") for name in sorted(expected.keys() - found.tables.keys())]
    differences += [Difference(name, "should not be there") for name in sorted(found.tables.keys() - expected.keys())]
    for name in sorted(expected.keys() & found.tables.keys()):
        table, entry = found.tables[name], expected[name]
        if table.rows != entry["rows"]:
            differences.append(Difference(name, f"has {table.rows} rows and had {entry['rows']}"))
        elif table.digest != entry["digest"]:
            differences.append(Difference(name, "has other rows than when it was backed up"))
    return differences


def names_of(entry: Mapping[str, Any]) -> str:
    """How the dump of a manifest's entry spoke to its server: to be compared, a dump made now has to do the same."""
    return str(entry.get("names", CONVERTED))


def scan_now(account: Account, database: str, *, one_a_line: bool, names: str = CONVERTED, tables: Sequence[str] = ()) -> Scan:
    """What a dump of the database, or of some of its tables, would hold now; ``names`` as the manifest has them."""
    dump = Dump(account, database, None, one_a_line=one_a_line, names=names, tables=tuple(tables))
    try:
        dump.turn.set()
        dump.open()
        return dump.run().scan
    finally:
        dump.end()
