"""The one way in which every list is read and shown; it changes nothing and exits 0."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import click

from opsfix.cli import session
from opsfix.cli.proving import prove
from opsfix.errors import CloudRefused, CloudUnknown, ConfigError, DatabaseUnknown
from opsfix.gateways.opening import open_databases
from opsfix.ports import Cloud, Databases
from opsfix.render import flat, structured, table


def run_list(
    ctx: click.Context, read: Callable[[Cloud, Databases | None], dict[str, Any]], key: str, columns: Sequence[str], form: str,
    wanted: Sequence[str] = ("nova_api", "nova"),
) -> dict[str, Any]:
    """Show what ``read`` returns: whole as JSON or YAML, else its rows under ``key``; returns it. ``wanted`` are the
    databases that it may use. Raises ConfigError when a part of the cloud does not answer: half a list must not look whole."""
    settings = session.settings(ctx)
    with ExitStack() as held:
        cloud = session.cloud(ctx, settings)
        cloud.connect()
        databases = open_databases(settings, wanted, read_only=True)
        if databases is not None:
            held.callback(databases.dispose)
        try:
            if wanted:
                prove(cloud, databases)
            found = read(cloud, databases)
        except (CloudRefused, CloudUnknown, DatabaseUnknown) as e:
            raise ConfigError(f"the cloud cannot be read: {e}: opsfix needs an administrator of a cloud that answers") from e
    session.write(_shown(found, key, columns, form))
    return found


def _shown(found: Mapping[str, Any], key: str, columns: Sequence[str], form: str) -> str:
    if form in ("json", "yaml"):
        return structured(found, form)
    rows = [{name: _joined(value) for name, value in row.items()} for row in found[key]]
    if form != "table":
        return flat(rows, columns, form)
    return table(rows, columns)


def _joined(value: Any) -> Any:
    """A list as one word, for a cell."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "-" if value is None else value
