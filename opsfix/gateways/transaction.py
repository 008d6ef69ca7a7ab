"""One fallback, one guarded transaction: lock, re-check, keep the rows' images, change, compare, commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from opsfix.errors import DatabaseRefused, DatabaseUnknown
from opsfix.sqlfile import SqlFile, Statement

#: InnoDB deadlock (on Galera also a failed certification), lock wait time-out, record changed under a snapshot. Before
#: COMMIT they prove that nothing was written; a node that loses its cluster while it commits may say so, too, so there
#: the rows are asked.
RETRIED = frozenset({1213, 1205, 1020})

Row = dict[str, Any]
#: ``table``, ``key`` (column -> value) and ``row``, which is None where there is none.
Image = dict[str, Any]
Sessions = Callable[[], AbstractContextManager[sa.Connection]]


@dataclass(frozen=True)
class Effect:
    """A statement with its values, how many rows it matches, and those rows as they are or were before; ``made`` are
    those that it makes, as far as it gives their columns."""

    table: str
    text: str
    values: Mapping[str, Any]
    expected: str
    rows: int
    before: tuple[Row, ...]
    made: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Preview:
    """What a fallback would do now. ``refusal`` says which statement would not match, None when all would."""

    statements: Sequence[Effect]
    refusal: str | None = None


@dataclass(frozen=True)
class Changed:
    """What a committed fallback did; ``rows`` over all its statements."""

    statements: Sequence[Effect]
    refusal: str | None = None

    @property
    def rows(self) -> int:
        """Rows changed."""
        return sum(s.rows for s in self.statements)


def code(error: BaseException) -> int:
    """The server's or the driver's error number, 0 when there is none."""
    args = getattr(getattr(error, "orig", error), "args", ())
    return args[0] if args and isinstance(args[0], int) else 0


def words(error: BaseException) -> str:
    """What the server or the driver says, with its number and without the statement or its values."""
    if not isinstance(error, exc.StatementError):
        return str(error)
    said = str((getattr(error.orig, "args", None) or (type(error).__name__,))[-1])
    return f"{said.partition(' near ')[0]} (error {code(error)})"


def preview(connection: sa.Connection, file: SqlFile, params: Mapping[str, Any]) -> Preview:
    """Select, by each statement's own WHERE, the rows that it would change."""
    effects, refusal = [], None
    for statement in file.statements:
        if not statement.changes:
            text = statement.text.removesuffix("FOR UPDATE")
            found = len(connection.execute(sa.text(text), _used(text, params)).all())
            refusal = refusal or _mismatch(statement, found)
            continue
        effect = _effect(connection, statement, params, "")
        refusal = refusal or _mismatch(statement, effect.rows)
        effects.append(effect)
    return Preview(effects, refusal)


def write(sessions: Sessions, file: SqlFile, params: Mapping[str, Any], record: Any) -> Changed:
    """Run the transaction once. Database errors pass through; the caller decides which to try again."""
    with sessions() as connection:
        keys = {s.text: _key(connection, s) for s in file.statements if s.table}
        connection.rollback()
        with connection.begin() as transaction:
            effects = _locked(connection, file, params)
            before = _images(effects, keys)
            record("sql-before", images=before, statements=[_told(e) for e in effects])
            for effect in effects:
                done = connection.execute(sa.text(effect.text), dict(effect.values)).rowcount
                if done != effect.rows:
                    raise DatabaseRefused(f"{effect.table}: {done} rows changed where {effect.rows} were locked; rolled back")
            after = now_at(connection, before)
            record("sql-after", images=after)
            lost = end(connection, transaction)
    settle(sessions, before, after, lost)
    record("sql-committed")
    return Changed(effects)


def end(connection: sa.Connection, transaction: sa.RootTransaction) -> Exception | None:
    """Commit; returns why that was not confirmed, None when it was."""
    try:
        transaction.commit()
    except Exception as e:  # noqa: BLE001  whatever it was, the commit may have taken place
        connection.invalidate()  # its transaction may be open: reading back on it would show what is not committed
        return e
    return None


def settle(sessions: Sessions, before: Sequence[Image], after: Sequence[Image], lost: Exception | None) -> None:
    """Read back what an unconfirmed commit left. Where it did not take place, raises ``lost`` again if that may be tried
    anew, else DatabaseRefused; DatabaseUnknown where that cannot be told."""
    if lost is None or _took_place(sessions, before, after, lost):
        return
    if code(lost) in RETRIED:
        raise lost
    raise DatabaseRefused(f"the commit was not confirmed ({words(lost)}); read back: nothing was changed")


def _locked(connection: sa.Connection, file: SqlFile, params: Mapping[str, Any]) -> list[Effect]:
    """Take the locks in the file's order and check every count before anything changes."""
    effects = []
    for statement in file.statements:
        if statement.changes:
            effect = _effect(connection, statement, params, " FOR UPDATE")
            found = effect.rows
            effects.append(effect)
        else:
            found = len(connection.execute(sa.text(statement.text), _used(statement.text, params)).all())
        refusal = _mismatch(statement, found)
        if refusal:
            raise DatabaseRefused(refusal)
    return effects


def _effect(connection: sa.Connection, statement: Statement, params: Mapping[str, Any], lock: str) -> Effect:
    image = statement.image + lock
    found = connection.execute(sa.text(image), _used(image, params)).all()
    made = tuple(dict(zip(statement.columns, r, strict=True)) for r in found) if statement.columns else ()
    rows = () if statement.columns else tuple(dict(r._mapping) for r in found)
    return Effect(
        table=statement.table or "",
        text=statement.text,
        values=_used(statement.text, params),
        expected=str(statement.rows),
        rows=len(found),
        before=rows,
        made=made,
    )


def _used(text: str, params: Mapping[str, Any]) -> dict[str, Any]:
    names = sa.text(text)._bindparams
    return {name: params[name] for name in names}


def _mismatch(statement: Statement, found: int) -> str | None:
    if statement.rows.admits(found):
        return None
    what = statement.table or "the lock"
    return f"{what}: {found} rows match where {statement.rows} must: the rows are not as they were when they were read"


def _key(connection: sa.Connection, statement: Statement) -> list[str]:
    """The columns that tell the rows of a statement apart: of rows to be made, a unique key of which it gives all."""
    table = statement.table or ""
    if not statement.columns:
        return _primary_key(connection, table)
    unique: dict[str, list[str]] = {}
    for k in connection.exec_driver_sql(f"SHOW KEYS FROM `{table}` WHERE Non_unique = 0").mappings():
        unique.setdefault(str(k["Key_name"]), []).append(str(k["Column_name"]))
    given = [columns for columns in unique.values() if set(columns) <= set(statement.columns)]
    if not given:
        raise DatabaseRefused(f"{table} has no unique key that the new row gives: it could not be undone")
    return given[0]


def _primary_key(connection: sa.Connection, table: str) -> list[str]:
    keys = connection.exec_driver_sql(f"SHOW KEYS FROM `{table}` WHERE Key_name = 'PRIMARY'").mappings().all()
    if not keys:
        raise DatabaseRefused(f"{table} has no primary key: a change could not be undone")
    return [str(k["Column_name"]) for k in keys]


def _by_key(connection: sa.Connection, table: str, key: Row, lock: str = "") -> Row | None:
    where = " AND ".join(f"`{column}` = :{column}" for column in key)
    found = connection.execute(sa.text(f"SELECT * FROM `{table}` WHERE {where}{lock}"), key).mappings().one_or_none()
    return dict(found) if found else None


def now_at(connection: sa.Connection, images: Sequence[Image], lock: str = "") -> list[Image]:
    """The rows of these images as they are now; ``row`` is None for one that is not there."""
    return [{"table": i["table"], "key": i["key"], "row": _by_key(connection, i["table"], i["key"], lock)} for i in images]


def _images(effects: list[Effect], keys: Mapping[str, list[str]]) -> list[Image]:
    """Of rows that are changed, as they are; of those that are made, where they will be."""
    touched = [(e, row, None if e.made else row) for e in effects for row in (*e.before, *e.made)]
    return [{"table": e.table, "key": {k: row[k] for k in keys[e.text]}, "row": now} for e, row, now in touched]


def _told(effect: Effect) -> dict[str, Any]:
    return {"text": effect.text, "values": dict(effect.values), "expected": effect.expected, "rows": effect.rows}


def _took_place(sessions: Sessions, before: Sequence[Image], after: Sequence[Image], error: Exception) -> bool:
    """Read back, locking, what an unconfirmed commit left: its own transaction may still be ending on the server.

    Rows that are neither as before nor as written are no wonder where another's write was certified first.
    """
    lost = words(error)
    try:
        with sessions() as connection, connection.begin():
            now = now_at(connection, after, " FOR UPDATE")
            connection.rollback()
    except Exception as e:  # noqa: BLE001  whatever it was, the commit's fate is not known
        raise DatabaseUnknown(f"the commit was not confirmed ({lost}), and reading back failed: {words(e)}") from None
    if now == list(after):
        return True
    if now == list(before) or code(error) in RETRIED:
        return False
    raise DatabaseUnknown(f"the commit was not confirmed ({lost}); the rows are neither as before nor as written")
