"""How results of ``opsfix db`` are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opsfix.backup.nightly import Night
from opsfix.backup.status import Status
from opsfix.backup.store import Backup
from opsfix.backup.verify import Verdict
from opsfix.render import flat, structured, table


def size(number: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError


def shown(rows: Sequence[Mapping[str, Any]], columns: tuple[str, ...], output: str, whole: Mapping[str, Any]) -> str:
    """The rows as a table, as CSV or bare; or the whole object."""
    if output in ("json", "yaml"):
        return structured(whole, output)
    return table(rows, columns) if output == "table" else flat(rows, columns, output)


def listed(backup: Backup) -> dict[str, Any]:
    """A backup as lists tell it."""
    return {
        "backup": backup.name, "state": "damaged" if backup.damage else "good", "reason": backup.damage or "",
        "path": str(backup.path), "started": backup.manifest.get("started"), "seconds": backup.manifest.get("seconds"),
        "bytes": backup.bytes, "databases": [str(d["database"]) for d in backup.databases],
    }


def render_list(backups: Sequence[Backup], directory: str, output: str) -> str:
    """``db list``."""
    rows = [listed(b) for b in backups]
    whole = {"schema": "opsfix.backups/1", "directory": directory, "backups": rows}
    if output == "table" and not rows:
        return f"No backup in {directory}\n"
    columns: tuple[str, ...] = ("backup", "state", "bytes", "seconds", "databases", "reason")
    flats = [{**r, "databases": ", ".join(r["databases"])} for r in rows]
    if output == "table":
        flats = [{**r, "bytes": size(int(r["bytes"])), "databases": len(b.databases)} for r, b in zip(flats, backups, strict=True)]
    return shown(flats, columns, output, whole)


def render_night(night: Night, directory: str, output: str) -> str:
    """``db backup``: the databases and what became of each backup of the directory."""
    made = night.backup
    databases = [_database(d) for d in night.databases]
    backups = [{"backup": d.name, "decision": "keep" if d.keep else "remove", "reason": d.reason} for d in night.decisions]
    whole = {
        "schema": "opsfix.backup/1", "mode": "apply" if made else "dry-run", "directory": directory,
        "backup": made.name if made else None, "path": str(made.path) if made else None,
        "started": made.manifest["started"] if made else None, "finished": made.manifest["finished"] if made else None,
        "seconds": made.manifest["seconds"] if made else None, "bytes": made.bytes if made else night.needed,
        "servers": made.manifest["servers"] if made else [], "databases": databases, "backups": backups,
        "exit_code": int(night.exit_code),
    }
    if output != "table":
        return shown(backups, ("backup", "decision", "reason"), output, whole)
    head = f"{made.path}: {size(made.bytes)} in {made.manifest['seconds']} s" if made else (
        f"A dry run: nothing was written; a backup in {directory} would need about {size(night.needed)}")
    columns = ("database", "service", "server", "tables", "rows", "bytes", "release")
    rows = [{**d, "bytes": d["bytes"] if d["bytes"] is None else size(d["bytes"])} for d in databases]
    return f"{head}\n\n{table(rows, columns)}\n{table(backups, ('backup', 'decision', 'reason'))}"


def _database(d: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "database": d["database"], "service": d["service"], "server": d["server"], "file": d.get("file"),
        "tables": len(d["tables"]), "rows": d.get("rows"), "bytes": d.get("bytes"), "dump_bytes": d.get("dump_bytes"),
        "alembic_heads": d.get("alembic_heads", []), "release": d.get("release"),
    }


def render_verdicts(verdicts: Sequence[Verdict], directory: str, by: str, output: str) -> str:
    """``db verify``."""
    rows = [
        {"backup": v.backup, "database": v.database, "result": "damaged" if v.wrong else "good", "rows": v.rows, "reason": v.wrong or ""}
        for v in verdicts
    ]
    whole = {"schema": "opsfix.db-verify/1", "directory": directory, "by": by, "backups": rows}
    columns = ("backup", "database", "result", "rows", "reason") if by == "restore" else ("backup", "result", "reason")
    return shown(rows, columns, output, whole)


def render_status(status: Status, code: int, output: str) -> str:
    """``db status``: what was looked at, what needs a person, and the tables that grow."""
    rows = [
        {"server": s.server, "what": s.what, "value": s.value, "result": "look" if s.look else "ok", "reason": s.look or ""}
        for s in status.seen
    ]
    tables = sorted(status.tables, key=lambda t: -int(t["bytes"]))
    whole = {"schema": "opsfix.db-status/1", "exit_code": code, "checks": rows, "databases": status.databases, "tables": tables}
    columns = ("server", "what", "value", "result", "reason")
    if output != "table":
        return shown(rows, columns, output, whole)
    grown = [{**t, "bytes": size(int(t["bytes"]))} for t in tables[:12]]
    return f"{table(rows, columns)}\n{table(grown, ('database', 'table', 'rows_estimated', 'bytes'))}" if grown else table(rows, columns)
