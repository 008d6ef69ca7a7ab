"""Puts rows back as they were before a run, in one guarded transaction: each must still be as that run left it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from opsfix.errors import DatabaseRefused
from opsfix.gateways.transaction import Image, Row, Sessions, end, now_at, settle
from opsfix.secrets import masked_row

#: A row was kept with an auto_increment column of 0.
_MODE = "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO'"


def place(image: Image) -> tuple[Any, ...]:
    """What tells an image's row from all others of its database."""
    return (image["table"], *sorted((k, str(v)) for k, v in image["key"].items()))


def once(images: Iterable[Image]) -> list[Image]:
    """One image a row: several statements may have touched it."""
    return list({place(image): image for image in images}.values())


def moved(left: Sequence[Image], now: Sequence[Image]) -> str | None:
    """Which row is no longer as a run left it, with both versions of what differs; None when all are."""
    return next((_difference(a, b) for a, b in zip(left, now, strict=True) if a["row"] != b["row"]), None)


def _difference(left: Image, now: Image) -> str:
    key = ", ".join(f"{k}={v}" for k, v in left["key"].items())
    was, is_ = left["row"], now["row"]
    if was is None or is_ is None:
        what = "it is there again" if was is None else "it is gone"
    elif was.keys() != is_.keys():
        what = f"the table has other columns now ({', '.join(sorted(was.keys() ^ is_.keys()))})"
    else:
        shown, seen = masked_row(was), masked_row(is_)
        columns = [c for c in was if was[c] != is_[c]]
        what = "; ".join(f"{c}: left {shown[c]!r}, now {seen[c]!r}" for c in columns)
    return f"{left['table']} {key} is no longer as the run left it: {what}"


def put_back(sessions: Sessions, before: Sequence[Image], after: Sequence[Image], record: Any) -> None:
    """Run the transaction once: lock, compare with ``after``, bring back ``before``, read back, commit.

    Database errors pass through. Raises DatabaseRefused when a row has moved on, or would not be as it was.
    """
    before, after = once(before)[::-1], once(after)[::-1]  # last changed first: parents return before their children
    with sessions() as connection:
        connection.exec_driver_sql(_MODE)
        computed = {table: _computed(connection, table) for table in {i["table"] for i in before}}
        connection.rollback()
        with connection.begin() as transaction:
            now = now_at(connection, after, " FOR UPDATE")
            refusal = moved(after, now)
            if refusal:
                raise DatabaseRefused(refusal)
            statements = list(_statements(before, after, computed))
            record("sql-before", images=now, statements=statements)
            _execute(connection, statements)
            written = now_at(connection, before)
            refusal = moved(before, written)
            if refusal:
                raise DatabaseRefused(f"{refusal}; rolled back")
            record("sql-after", images=written)
            lost = end(connection, transaction)
    settle(sessions, now, written, lost)
    record("sql-committed")


def _execute(connection: sa.Connection, statements: Iterable[Mapping[str, Any]]) -> None:
    for statement in statements:
        try:
            done = connection.execute(sa.text(statement["text"]), statement["values"]).rowcount
        except exc.IntegrityError as e:
            raise DatabaseRefused(f"a row cannot return, another stands in its way: {(e.orig or e).args[-1]}") from None
        if done != 1:
            raise DatabaseRefused(f"{done} rows matched where 1 must: {statement['text'].splitlines()[0]}; rolled back")


def _computed(connection: sa.Connection, table: str) -> set[str]:
    """The columns that the server computes by itself."""
    found = connection.execute(sa.text(
        "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = :t"
        " AND EXTRA LIKE '%GENERATED%'"
    ), {"t": table})
    return {str(name) for (name,) in found}


def _statements(
    before: Sequence[Image], after: Sequence[Image], computed: Mapping[str, set[str]]
) -> Iterator[dict[str, Any]]:
    """One statement for each row that changes."""
    for was, left in zip(before, after, strict=True):
        if was["row"] == left["row"]:
            continue
        yield _statement(was, left["row"], computed[was["table"]])


def _statement(was: Image, left: Row | None, computed: set[str]) -> dict[str, Any]:
    table, key = was["table"], {f"key_{k}": v for k, v in was["key"].items()}
    where = "WHERE " + " AND ".join(f"`{k}` = :key_{k}" for k in was["key"])
    row = {c: v for c, v in (was["row"] or {}).items() if c not in computed}
    if was["row"] is None:
        text, values = f"DELETE FROM `{table}`\n{where}", key
    elif left is None:
        text = f"INSERT INTO `{table}` ({', '.join(f'`{c}`' for c in row)})\nVALUES ({', '.join(f':{c}' for c in row)})"
        values = row
    else:
        text = f"UPDATE `{table}`\nSET {', '.join(f'`{c}` = :{c}' for c in row)}\n{where}"
        values = row | key
    return {"text": text, "values": values, "expected": "1", "rows": 1}
