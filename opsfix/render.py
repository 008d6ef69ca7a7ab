"""Results on stdout in five forms; everything else goes to stderr."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opsfix.model import Item, Report, Result

#: Terminal columns: the most that a cell of a table takes, and the least that its last one gets.
WIDEST, LEAST = 40, 40
COLUMNS = ("type", "id", "name", "finding", "outcome", "by", "reason")


def render_report(report: Report, form: str) -> str:
    """A repair command's report; the table also shows what each SQL statement would change, or changed."""
    if form in ("json", "yaml"):
        return structured(report.as_dict(), form)
    rows = [item.as_dict() for item in report.items]
    if form != "table":
        return flat(rows, COLUMNS, form)
    if not rows:
        return f"No findings; run {report.run}, exit {int(report.exit_code)}\n"
    shown = [{**row, "by": row["by"] or "-", "finding": row["finding"] or "-"} for row in rows]
    steps = "".join(_steps(item) for item in report.items if item.steps)
    return table(shown, ("id", "name", "finding", "outcome", "by", "reason")) + steps + _counts(report)


def _steps(item: Item) -> str:
    lines = [f"\n{item.type} {printable(item.id)}:"]
    for step in item.steps:
        lines.append(f"  [{step.result}] {_cell(step.what)}{': ' if step.detail else ''}{_cell(step.detail)}")
        if step.statement:
            lines += [f"      {printable(line)}" for line in step.statement.split("\n")]
        when = "now" if step.result is Result.DRY_RUN else "before"
        lines += [f"      row {when}: {_row(row)}" for row in step.before or ()]
    return "\n".join(lines) + "\n"


def _row(row: Mapping[str, Any]) -> str:
    return printable(", ".join(f"{k}={v}" for k, v in row.items() if v is not None))


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
    """CSV with a header and the values as they are, or bare values separated by blanks."""
    if form == "value":
        return "".join(" ".join(_cell(row[c]) or "-" for c in columns) + "\n" for row in rows)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(["" if row[c] is None else row[c] for c in columns] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> str:
    return "" if value is None else printable(" ".join(str(value).split()))


def printable(text: str) -> str:
    """One line that a terminal shows and does not obey: names are what tenants wrote."""
    return "".join(c if c.isprintable() else "?" for c in text)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """A table as wide as the terminal: long cells are cut, but for the last column, which wraps and breaks no word.
    Without rows it is a sentence that says so."""
    if not rows:
        return "Nothing found.\n"
    from tabulate import tabulate
    from wcwidth import wcswidth

    cells = [[*(_cut(_cell(row[c]), wcswidth) for c in columns[:-1]), _cell(row[columns[-1]])] for row in rows]
    used = sum(max(wcswidth(text) for text in (c, *(row[i] for row in cells))) + 2 for i, c in enumerate(columns[:-1]))
    room = max(LEAST, shutil.get_terminal_size((160, 24)).columns - used)
    text = tabulate(
        cells, headers=list(columns), tablefmt="simple", disable_numparse=True, break_long_words=False,
        break_on_hyphens=False, maxcolwidths=[*[None] * (len(columns) - 1), room],
    )
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def _cut(text: str, width: Callable[[str], int]) -> str:
    if width(text) <= WIDEST:
        return text
    while width(text) >= WIDEST:
        text = text[:-1]
    return text + "…"


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
