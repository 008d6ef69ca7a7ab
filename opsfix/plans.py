"""Plans: what a dry run showed, in a file that another person can read, approve and have carried out, exactly that.

A plan is JSON of the schema opsfix.plan/1, sealed by the SHA-256 of the rest of it. It holds no secrets: rows are kept
masked. ``opsfix apply`` compares each item's steps, values and rows with what a dry run would show now.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from opsfix import __version__, sqlfile
from opsfix.errors import ConfigError, GuardError, UsageError
from opsfix.journal import now
from opsfix.model import Item, Outcome

SCHEMA = "opsfix.plan/1"
#: Bytes of a plan that is worth reading.
LARGEST = 256 * 1024 * 1024
#: How far the clocks of two hosts may be apart.
CLOCKS = timedelta(minutes=5)
_KEYS: dict[str, type] = {
    "schema": str, "opsfix": str, "run": str, "command": str, "parameters": dict, "cloud": str, "made": str, "heads": dict,
    "sql": dict, "items": list, "left_out": list, "hash": str,
}


def document(
    run: str, command: str, parameters: Mapping[str, Any], cloud: str, heads: Mapping[str, list[str]], items: Iterable[Item],
    files: Iterable[str],
) -> dict[str, Any]:
    """A sealed plan. ``parameters`` are the command's, ``heads`` the schemas of the databases, ``files`` those of sql/
    that the items may come to."""
    given = list(items)
    plan = {
        "schema": SCHEMA, "opsfix": __version__, "run": run, "command": command, "parameters": _plain(parameters),
        "cloud": cloud, "made": now(), "heads": dict(heads), "sql": {f: _digest(f) for f in sorted(set(files))},
        "items": [i.as_dict() | {"stages": list(i.stages)} for i in given if i.outcome is Outcome.NEEDS_COMMIT],
        "left_out": [
            {"id": i.id, "name": i.name, "outcome": str(i.outcome), "reason": i.reason}
            for i in given if i.outcome is not Outcome.NEEDS_COMMIT
        ],
    }
    plain: dict[str, Any] = json.loads(json.dumps(plan))
    return plain | {"hash": seal(plain)}


def seal(plan: Mapping[str, Any]) -> str:
    """The SHA-256, in hex, of all of a plan but its hash."""
    rest = {k: v for k, v in plan.items() if k != "hash"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _digest(name: str) -> str:
    try:
        return hashlib.sha256((sqlfile.directory() / f"{name}.sql").read_bytes()).hexdigest()
    except OSError:
        return "missing"


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What click gave the command, without what only this call of it means."""
    kept = {k: v.total_seconds() if isinstance(v, timedelta) else v for k, v in parameters.items()}
    return {k: v for k, v in kept.items() if v is None or isinstance(v, (bool, int, float, str, tuple, list))}


def writable(path: Path) -> None:
    """Raise ConfigError now for a place where no plan can be written, rather than after the search."""
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ConfigError(f"the plan {path} cannot be written: name a file in a directory that takes files")


def write(path: Path, plan: Mapping[str, Any]) -> None:
    """Put the plan in its place, whole or not at all. Raises ConfigError."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            part.write_text(json.dumps(plan, ensure_ascii=False, indent=1) + "\n", encoding="utf-8", errors="backslashreplace")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as e:
        raise ConfigError(f"the plan {path} cannot be written ({e.strerror})") from e


def read(path: Path, max_age: timedelta) -> dict[str, Any]:
    """A plan that may be carried out. Raises UsageError for what is none, GuardError for one that was edited, is older
    than ``max_age``, or is of another opsfix or other files of sql/."""
    plan = _parsed(path)
    if plan["hash"] != seal(plan):
        raise GuardError(f"{path} was changed after it was made (its hash does not fit): make a new plan")
    made = datetime.fromisoformat(plan["made"])
    age = datetime.now(UTC) - made
    if age > max_age or age < -CLOCKS:
        raise GuardError(f"{path} was made at {plan['made']}, which is not within --plan-max-age {max_age}: make a new plan")
    if plan["opsfix"] != __version__:
        raise GuardError(f"{path} was made by opsfix {plan['opsfix']}, this is {__version__}: make a new plan")
    changed = next((name for name, digest in plan["sql"].items() if _digest(name) != digest), None)
    if changed:
        raise GuardError(f"sql/{changed}.sql is not what it was when {path} was made: make a new plan")
    return plan


def _parsed(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path} is too large for a plan")
        plan = json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise UsageError(f"the plan {path} cannot be read ({e.strerror}): make one with --dry-run --plan-out FILE") from e
    except (ValueError, RecursionError) as e:
        raise UsageError(f"{path} is no plan: make one with --dry-run --plan-out FILE") from e
    if not isinstance(plan, dict) or plan.get("schema") != SCHEMA or not _whole(plan):
        raise UsageError(f"{path} is no plan of the schema {SCHEMA}: make one with --dry-run --plan-out FILE")
    return plan


def _whole(plan: Mapping[str, Any]) -> bool:
    """Whether everything is there and of its kind."""
    if plan.keys() != _KEYS.keys() or not all(isinstance(plan[k], kind) for k, kind in _KEYS.items()):
        return False
    try:
        aware = datetime.fromisoformat(plan["made"]).tzinfo is not None
    except ValueError:
        return False
    return aware and all(
        isinstance(i, dict) and isinstance(i.get("id"), str) and _listed(i.get("stages"), str) and _listed(i.get("steps"), dict)
        for i in plan["items"]
    )


def _listed(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(v, kind) for v in value)


def fitting(plan: Mapping[str, Any], cloud: str, heads: Mapping[str, list[str]]) -> None:
    """Raise GuardError for a plan of another cloud, or of other releases of its services."""
    if plan["cloud"] != cloud:
        raise GuardError(f"the plan was made for another cloud ({plan['cloud']}, this is {cloud}): choose it with --os-cloud")
    other = sorted(k for k in plan["heads"].keys() | heads.keys() if plan["heads"].get(k) != heads.get(k))
    if other:
        raise GuardError(f"the plan was made for other releases, or other databases: {', '.join(other)}; make a new plan")
