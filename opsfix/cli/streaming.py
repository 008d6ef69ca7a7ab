"""Lists that may be long: each row is shown as it is read, and none is kept but for a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Any

import click

from opsfix.cli import session
from opsfix.cli.proving import prove
from opsfix.errors import CloudRefused, CloudUnknown, ConfigError, DatabaseUnknown
from opsfix.gateways.opening import open_databases
from opsfix.ports import Cloud, Databases
from opsfix.render import flat, table

#: Rows that are written at once.
TOGETHER = 100
Rows = Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Form:
    """How a list looks: its schema, the key of its rows in JSON and YAML, its columns elsewhere, and what makes cells."""

    schema: str
    key: str
    columns: Sequence[str]
    flattened: Callable[[Rows], Iterator[Mapping[str, Any]]]


def run_stream(
    ctx: click.Context, read: Callable[[Cloud, Databases | None], Rows], form: Form, output: str, wanted: Sequence[str] = ()
) -> None:
    """Show what ``read`` yields. ``wanted`` are the databases that it needs, proven before anything is read.

    Raises ConfigError when a part of the cloud does not answer: JSON is then left open, so that nobody takes it for whole.
    """
    settings = session.settings(ctx)
    with ExitStack() as held:
        cloud = session.cloud(ctx, settings)
        cloud.connect()
        databases = open_databases(settings, wanted, read_only=True) if wanted else None
        if databases is not None:
            held.callback(databases.dispose)
        if missing := set(wanted) - set(databases.names() if databases else ()):
            raise ConfigError(f"the database of {' and '.join(sorted(missing))} is not configured: see 'opsfix config show'")
        try:
            if databases is not None:
                prove(cloud, databases)
            for text in written(read(cloud, databases), form, output):
                session.write(text)
        except (CloudRefused, CloudUnknown, DatabaseUnknown) as e:
            raise ConfigError(f"the cloud cannot be read: {e}: opsfix needs an administrator of a cloud that answers") from e


def written(rows: Rows, form: Form, output: str) -> Iterator[str]:
    """The text of the list, piece by piece."""
    if output == "json":
        return _json(rows, form)
    if output == "yaml":
        return _yaml(rows, form)
    if output == "table":
        return _table(rows, form)
    return _flat(rows, form, output)


def _together(rows: Rows) -> Iterator[list[Mapping[str, Any]]]:
    source = iter(rows)
    while some := list(islice(source, TOGETHER)):
        yield some


def _json(rows: Rows, form: Form) -> Iterator[str]:
    yield f'{{\n  "schema": {json.dumps(form.schema)},\n  {json.dumps(form.key)}: ['
    comma = ""
    for some in _together(rows):
        yield comma + ",".join(f"\n    {json.dumps(row, ensure_ascii=False)}" for row in some)
        comma = ","
    yield ("\n  " if comma else "") + "]\n}\n"


def _yaml(rows: Rows, form: Form) -> Iterator[str]:
    import yaml

    yield f"schema: {form.schema}\n"
    none = True
    for some in _together(rows):
        yield (f"{form.key}:\n" if none else "") + yaml.safe_dump([dict(r) for r in some], allow_unicode=True, sort_keys=False)
        none = False
    if none:
        yield f"{form.key}: []\n"


def _flat(rows: Rows, form: Form, output: str) -> Iterator[str]:
    if output == "csv":
        yield flat([], form.columns, "csv")
    for some in _together(form.flattened(rows)):
        text = flat(some, form.columns, output)
        yield text.partition("\n")[2] if output == "csv" else text


def _table(rows: Rows, form: Form) -> Iterator[str]:
    kept = [{column: row[column] for column in form.columns} for row in form.flattened(rows)]
    yield table(kept, form.columns)
