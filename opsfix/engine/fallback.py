"""The SQL fallback: shown without --commit, run in one guarded transaction with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opsfix import sqlfile
from opsfix.errors import DatabaseRefused, DatabaseUnknown
from opsfix.guards import first_failing
from opsfix.model import Mode, Outcome, Result, StepReport
from opsfix.ports import Recorder
from opsfix.repair import Fallback
from opsfix.scene import Scene
from opsfix.secrets import masked_row, plain


@dataclass(frozen=True)
class Fell:
    """How the fallback ended: ``outcome`` None when it was committed and must now be verified."""

    steps: list[StepReport]
    outcome: Outcome | None
    reason: str = ""


def fall_back(fallback: Fallback, facts: Mapping[str, Any], scene: Scene, mode: Mode, record: Recorder) -> Fell:
    """Check the guards once more, then show or commit."""
    if not scene.has(fallback.database) or scene.databases is None:
        step = StepReport("sql", f"sql/{fallback.sql}.sql", Result.SKIPPED, f"needs the database of {fallback.database}")
        return Fell([step], Outcome.REFUSED, (
            f"no API call can repair this, and the SQL needs the database of {fallback.database}, which is not"
            " configured: see 'opsfix config show'"
        ))
    failing = first_failing(fallback.only_if, facts)
    if failing:
        return Fell([], Outcome.REFUSED, failing.refusal(facts))
    params = {name: facts[fact] for name, fact in sqlfile.load(fallback.sql).params.items()}
    cell = facts.get("cell") if fallback.database == "nova" else None
    if mode is Mode.COMMIT:
        return _commit(fallback, params, cell, scene, record)
    shown = scene.databases.preview(fallback.sql, params, cell=cell)
    steps = [_step(fallback, s, Result.DRY_RUN) for s in shown.statements]
    if shown.refusal:
        return Fell(steps, Outcome.REFUSED, f"the SQL would not match: {shown.refusal}")
    return Fell(steps, Outcome.NEEDS_COMMIT, "no API call can repair this; the SQL that can is shown: repeat with --commit")


def _commit(fallback: Fallback, params: Mapping[str, Any], cell: str | None, scene: Scene, record: Recorder) -> Fell:
    assert scene.databases is not None
    what = f"sql/{fallback.sql}.sql"
    try:
        done = scene.databases.commit(fallback.sql, params, record, cell=cell)
    except DatabaseRefused as e:
        record("sql-refused", file=fallback.sql, detail=str(e))
        return Fell([StepReport("sql", what, Result.REFUSED, str(e), rows=0)], Outcome.REFUSED, str(e))
    except DatabaseUnknown as e:
        record("sql-unknown", file=fallback.sql, detail=str(e))
        return Fell([StepReport("sql", what, Result.UNKNOWN, str(e))], Outcome.UNKNOWN, str(e))
    return Fell([_step(fallback, s, Result.DONE) for s in done.statements], None)


def _step(fallback: Fallback, effect: Any, result: Result) -> StepReport:
    return StepReport(
        kind="sql",
        what=f"sql/{fallback.sql}.sql: {effect.text.split()[0]} {effect.table}",
        result=result,
        detail=f"{effect.rows} row{'' if effect.rows == 1 else 's'}, {effect.expected} expected",
        rows=effect.rows,
        statement=sqlfile.spoken(effect.text, {k: plain(v) for k, v in effect.values.items()}),
        before=tuple(masked_row(row) for row in effect.before),
    )
