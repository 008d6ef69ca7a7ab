"""What ``opsfix history`` shows: the list of runs, and one run in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from opsfix import history, journal, sqlfile
from opsfix.cli import session
from opsfix.cli.streaming import Form, Rows, written
from opsfix.config import Settings
from opsfix.errors import ConfigError, GuardError
from opsfix.gateways.database import Databases
from opsfix.gateways.opening import open_databases
from opsfix.history import COMMITTED, IN_DOUBT, ApiStep, Past, SqlStep, Trace
from opsfix.render import flat, printable, structured
from opsfix.secrets import masked, masked_row, plain
from opsfix.undo import decided, told

LIST = ("run", "started", "user", "host", "command", "mode", "state", "outcomes", "exit_code")
STEPS = ("item", "time", "kind", "what", "result", "rows", "detail")


def list_runs(ctx: click.Context, since: timedelta | None, command: str | None, *, failed: bool, output: str) -> None:
    """Every run that the filters let through, newest first."""
    root = journal.state_dir(session.settings(ctx)["state_dir"])
    oldest = datetime.now(UTC) - since if since is not None else None
    form = Form("opsfix.history/1", "runs", LIST, _flattened)
    for text in written((_row(p) for p in _wanted(history.every(root), oldest, command, failed=failed)), form, output):
        session.write(text)


def _wanted(runs: Iterator[Past], oldest: datetime | None, command: str | None, *, failed: bool) -> Iterator[Past]:
    for past in runs:
        if oldest is not None and past.started < oldest:
            return
        name = f"{past.meta['command']} "
        if (command is None or name.startswith(f"{command} ")) and (past.failed or not failed):
            yield past


def _row(past: Past) -> dict[str, Any]:
    meta, report = past.meta, past.report or {}
    return {
        "run": past.run, "started": meta["started"], "finished": report.get("finished"), "user": meta["user"],
        "host": meta["host"], "command": meta["command"], "mode": meta["mode"], "state": past.state,
        "summary": report.get("summary"), "exit_code": past.exit_code, "cloud": meta["cloud"],
        "arguments": meta["arguments"], "undoes": meta.get("undoes"), "plan": meta.get("plan"),
    }


def _flattened(rows: Rows) -> Iterator[Mapping[str, Any]]:
    for row in rows:
        counts = (row["summary"] or {}).items()
        outcomes = ", ".join(f"{n} {outcome.replace('_', ' ')}" for outcome, n in counts if n) or "-"
        code = "-" if row["exit_code"] is None else row["exit_code"]
        yield {**row, "outcomes": outcomes, "exit_code": code}


def tell(ctx: click.Context, word: str, output: str) -> None:
    """One run: every item, step, statement and row. Secrets are masked."""
    settings = session.settings(ctx)
    past = history.find(journal.state_dir(settings["state_dir"]), word)
    traces = past.traces()
    tables = _tables(settings, traces.values())
    try:
        items = [_item(t, tables, past) for t in traces.values()]
    finally:
        if tables is not None:
            tables.dispose()
    whole = {**_row(past), "schema": "opsfix.history-run/1", "items": items}
    if output in ("json", "yaml"):
        session.write(structured(whole, output))
    elif output == "table":
        session.write(_text(whole))
    else:
        steps = [{"item": i["id"], "rows": None} | s for i in items for s in i["steps"]]
        session.write(flat(steps, STEPS, output))


def _tables(settings: Settings, traces: Any) -> Databases | None:
    """The databases that can decide what a journal leaves open; a run of which nothing is open needs none."""
    services = {s.service for t in traces for s in t.steps if isinstance(s, SqlStep) and s.fate == IN_DOUBT}
    if not services:
        return None
    try:
        return open_databases(settings, sorted(services | ({"nova_api"} if "nova" in services else set())), read_only=True)
    except (ConfigError, GuardError) as e:
        session.warn(f"warning: what is in doubt cannot be decided: {e}")
        return None


def _item(trace: Trace, tables: Databases | None, past: Past) -> dict[str, Any]:
    steps = [_api(s) if isinstance(s, ApiStep) else _sql(s, tables) for s in trace.steps]
    certain = all(s["certain"] for s in steps)
    reason = trace.reason
    if trace.outcome is None:
        reason = f"the run {'is still at work' if past.at_work else 'died'}: " + (
            "what it did to this item is certain" if certain else
            f"what is not certain: {'; '.join(s['what'] for s in steps if not s['certain'])}"
        )
    return {
        "type": trace.type, "id": trace.id, "name": trace.name, "finding": trace.finding, "outcome": trace.outcome,
        "reason": masked(reason), "certain": certain, "steps": steps,
    }


def _api(step: ApiStep) -> dict[str, Any]:
    return {
        "kind": "api", "time": step.time, "what": masked(step.what), "result": step.result or "not known",
        "detail": masked(step.detail), "certain": step.result not in (None, "unknown"),
        "undoable": bool(step.inverse), "made": dict(step.made),
    }


def _sql(step: SqlStep, tables: Databases | None) -> dict[str, Any]:
    fate = decided(step, tables)
    read = " (by reading the rows)" if step.fate == IN_DOUBT and fate != IN_DOUBT else ""
    changes = [_change(b, a) for b, a in zip(step.before, step.after or step.before, strict=True)]
    return {
        "kind": "sql", "time": step.time, "what": f"sql/{step.file}.sql on {step.database}", "result": f"{fate}{read}",
        "detail": masked(step.detail), "certain": fate != IN_DOUBT, "undoable": fate == COMMITTED, "rows": len(changes),
        "statements": [_statement(s) for s in step.statements], "changes": changes,
    }


def _statement(statement: Mapping[str, Any]) -> str:
    return sqlfile.spoken(statement["text"], masked_row(statement["values"]))


def _change(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "table": before["table"], "key": plain(before["key"]),
        "before": None if before["row"] is None else masked_row(before["row"]),
        "after": None if after["row"] is None else masked_row(after["row"]),
        "undo": told(before, after["row"]) if before["row"] != after["row"] else None,
    }


def _text(whole: Mapping[str, Any]) -> str:
    code = "" if whole["exit_code"] is None else f", exit {whole['exit_code']}"
    lines = [
        f"run {whole['run']}: {whole['command']} ({whole['mode']}), {whole['state']}{code}",
        f"  by {whole['user']} on {whole['host']}, {whole['started']} to {whole['finished'] or '?'}, cloud {whole['cloud']}",
        f"  opsfix {' '.join(whole['arguments'])}",
    ]
    for item in whole["items"]:
        lines += ["", f"{item['type']} {item['id']} {item['name']}: {item['outcome'] or 'no outcome'} ({item['finding'] or '-'})",
                  f"  {item['reason']}"]
        for step in item["steps"]:
            lines += _step(step)
    if any(step["undoable"] for item in whole["items"] for step in item["steps"]) and whole["mode"] != "dry-run":
        lines += ["", f"'opsfix undo {whole['run']}' shows what of it can be put back"]
    return "\n".join(printable(line) for line in lines) + "\n"


def _step(step: Mapping[str, Any]) -> Iterator[str]:
    yield f"  {step['time']} [{step['result']}] {step['what']}{': ' if step['detail'] else ''}{step['detail']}"
    for statement in step.get("statements", ()):
        yield from (f"      {line}" for line in statement.split("\n"))
    for change in step.get("changes", ()):
        key = ", ".join(f"{k}={v}" for k, v in change["key"].items())
        yield f"      {change['table']} {key}: {_words(change['before'], change['after'])}"


def _words(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """What became of a row: the columns that changed, or the whole row that came or went."""
    if before is None or after is None:
        row = before or after or {}
        return ("made: " if before is None else "deleted: ") + ", ".join(f"{k}={v}" for k, v in row.items() if v is not None)
    changed = [f"{c}: {before[c]} -> {after[c]}" for c in before if before[c] != after.get(c)]
    return "; ".join(changed) or "as it was"


def prune(ctx: click.Context, older_than: timedelta, *, dry_run: bool, output: str) -> None:
    """Delete the journals of runs that began longer ago, and tell of each what became of it."""
    root = journal.state_dir(session.settings(ctx)["state_dir"])
    newest = datetime.now(UTC) - older_than
    form = Form("opsfix.history-prune/1", "runs", ("run", "started", "command", "result", "reason"), iter)
    old = (p for p in history.every(root) if p.started < newest)
    for text in written((_pruned(p, dry_run=dry_run) for p in old), form, output):
        session.write(text)


def _pruned(past: Past, *, dry_run: bool) -> dict[str, Any]:
    row = {"run": past.run, "started": past.meta["started"], "command": past.meta["command"]}
    if past.in_doubt:
        return {**row, "result": "kept", "reason": f"it is in doubt: see 'opsfix history {past.run}'"}
    if not dry_run:
        history.prune(past)
    return {**row, "result": "would be deleted" if dry_run else "deleted", "reason": "old enough, and nothing of it is in doubt"}
