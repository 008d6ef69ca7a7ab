"""The form of what a run writes down: which keys each document and each event has, and of which kind.

A journal is read years later, by another release, perhaps after a disk failed or a hand edited it. What has not this
form is damaged, and nothing is told of it or put back by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import NoneType
from typing import Any

#: A kind is a type, several types, a form of its own, or a list with the form of its members.
Form = Mapping[str, Any]

_TEXT = (str, NoneType)
_IMAGE: Form = {"table": str, "key": dict, "row": (dict, NoneType)}
_STATEMENT: Form = {"text": str, "values": dict}
#: Event -> what it needs; others are not read.
EVENTS: Mapping[str, Form] = {
    "plan": {"time": str, "repair": _TEXT},
    "api-before": {"time": str, "what": str, "inverse": (dict, NoneType)},
    "api-after": {"what": str, "result": str, "detail": str, "made": dict},
    "sql-before": {
        "time": str, "file": str, "service": str, "cell": _TEXT, "database": str, "statements": [_STATEMENT], "images": [_IMAGE],
    },
    "sql-after": {"images": [_IMAGE]},
    "sql-committed": {},
    "sql-refused": {"detail": str},
    "sql-unknown": {"detail": str},
    "item-end": {"outcome": str, "reason": str, "finding": _TEXT},
}
#: May be missing.
OPTIONAL: Form = {"item": str, "type": str, "name": str, "undoes": _TEXT, "plan": _TEXT, "finished": str}
RUN: Form = {
    "command": str, "mode": str, "arguments": [str], "cloud": str, "user": str, "host": str, "started": str,
}  # fmt: skip
REPORT: Form = {
    "exit_code": int, "summary": dict,
    "items": [{"id": str, "type": str, "name": str, "outcome": str, "reason": str}],
}  # fmt: skip


def misfit(document: Any, form: Form) -> str | None:
    """The first key of a document that it lacks or whose value is of another kind, None when all fit."""
    if not isinstance(document, dict):
        return "the whole"
    given = {k: v for k, v in OPTIONAL.items() if k in document and k not in form}
    return next((key for key, kind in {**form, **given}.items() if not _fits(document.get(key, ...), kind)), None)


def _fits(value: Any, kind: Any) -> bool:
    if isinstance(kind, list):
        return isinstance(value, list) and all(_fits(v, kind[0]) for v in value)
    if isinstance(kind, Mapping):
        return misfit(value, kind) is None
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def event_misfit(event: Any) -> str | None:
    """The same for a line of the journal."""
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return "event"
    return misfit(event, EVENTS.get(event["event"], {}))


def run_misfit(run: Any, report: Any) -> str | None:
    """The same for run.json and, None where there is none, report.json; a time without a zone is none."""
    wrong = misfit(run, RUN) or (None if report is None else misfit(report, REPORT))
    if wrong:
        return wrong
    if report is not None and not all(isinstance(n, int) for n in report["summary"].values()):
        return "summary"
    try:
        return None if datetime.fromisoformat(run["started"]).tzinfo else "started"
    except ValueError:
        return "started"
