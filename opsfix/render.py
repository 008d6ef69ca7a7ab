"""Results on stdout in five forms; everything else goes to stderr."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from textwrap import indent
from typing import Any

from opsfix.model import Report

FORMATS = ("table", "json", "yaml", "csv", "value")
COLUMNS = ("type", "id", "name", "finding", "outcome", "by", "reason")


def render_report(report: Report, form: str) -> str:
    """A repair command's report; the table also shows what each SQL statement would change, or changed."""
    if form in ("json", "yaml"):
        return structured(report.as_dict(), form)
    rows = [item.as_dict() for item in report.items]
    if form != "table":
        return flat(rows, COLUMNS, form)
    if not rows:
        return "Nothing is stuck.\n"
    shown = [{**row, "by": row["by"] or "-", "finding": row["finding"] or "-"} for row in rows]
    return table(shown, ("id", "name", "finding", "outcome", "by", "reason")) + _statements(report) + _counts(report)


def _statements(report: Report) -> str:
    out = []
    for item in report.items:
        for step in item.steps:
            if step.kind == "sql" and step.statement:
                out.append(f"\n{item.id}: {step.what} [{step.result}], {step.detail}\n{indent(step.statement, '  ')}")
                out += [f"  row now: {_row(row)}" for row in step.before or ()]
            elif step.kind == "api" and str(step.result) in ("dry-run", "refused", "unknown"):
                out.append(f"\n{item.id}: {step.what} [{step.result}] {step.detail}".rstrip())
    return "\n".join(out) + ("\n" if out else "")


def _row(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={v}" for k, v in row.items() if v is not None)


def _counts(report: Report) -> str:
    counts = ", ".join(f"{n} {outcome.replace('_', ' ')}" for outcome, n in report.summary.items() if n)
    return f"\n{counts}; run {report.run}, exit {int(report.exit_code)}\n"


def structured(value: Mapping[str, Any], form: str) -> str:
    """One JSON object, or the same as YAML."""
    if form == "json":
        return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    import yaml

    return yaml.safe_dump(json.loads(json.dumps(value)), allow_unicode=True, sort_keys=False)


def flat(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], form: str) -> str:
    """CSV with a header, or bare values separated by blanks."""
    if form == "value":
        return "".join(" ".join(_cell(row[c]) or "-" for c in columns) + "\n" for row in rows)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row[c]) for c in columns] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> str:
    return "" if value is None else " ".join(str(value).split())


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """A table as wide as the terminal: the last column wraps."""
    from tabulate import tabulate

    cells = [[_cell(row[c]) for c in columns] for row in rows]
    widths = [max([len(c), *(len(row[i]) for row in cells)]) for i, c in enumerate(columns)]
    room = shutil.get_terminal_size((160, 24)).columns
    widths = [min(w, 40) for w in widths[:-1]] + [max(24, room - sum(min(w, 40) for w in widths[:-1]) - 2 * len(widths))]
    text = tabulate(
        cells, headers=list(columns), tablefmt="simple", disable_numparse=True, maxcolwidths=[*widths],
        break_long_words=True, break_on_hyphens=False,
    )
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


class Progress:
    """Counts on stderr for what takes over two seconds, on a terminal only."""

    def __init__(self) -> None:
        self._begun, self._shown = time.monotonic(), False

    def __call__(self, what: str, done: int, of: int) -> None:
        """Say how far it is."""
        if not sys.stderr.isatty() or time.monotonic() - self._begun < 2:
            return
        self._shown = True
        print(f"\r{what}: {done} of {of}\033[K", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line clean for what follows."""
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
