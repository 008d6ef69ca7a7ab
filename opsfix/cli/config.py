"""``opsfix config``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from opsfix.cli import options, session
from opsfix.errors import ConfigError, DatabaseUnknown

if TYPE_CHECKING:
    from opsfix.config import Settings, Value


@click.group("config", context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Show and check where opsfix finds its cloud."""


@group.command(epilog="\b\nExample:\n  opsfix --services-conf-dir /srv/etc config show -o json")
@options.output
@click.pass_context
def show(ctx: click.Context, /, output: str) -> None:
    """Print every setting with its origin, passwords masked."""
    from opsfix.config import SERVICE_FILES, SETTINGS, Value
    from opsfix.secrets import masked

    found = session.settings(ctx)
    for text in found.warnings:
        session.warn(f"warning: {text}")
    values = {**found.values, "state_dir": _state_dir(found)}
    rows = [{"name": n, "value": values[n].value, "origin": values[n].origin} for n in SETTINGS]
    databases = {n: found.databases.get(n, Value(None, "not configured")) for n in SERVICE_FILES}
    rows += [
        {"name": f"databases.{n}", "value": d.value and masked(d.value), "origin": masked(d.origin)}
        for n, d in databases.items()
    ]
    _print(rows, ("name", "value", "origin"), "opsfix.config/1", "settings", output)


@group.command(epilog="\b\nExample:\n  opsfix config check && opsfix volume unstick --all")
@options.output
@click.pass_context
def check(ctx: click.Context, /, output: str) -> None:
    """Connect to everything that is configured and say what works. Exits 3 when something does not."""
    from opsfix.cli.checking import checks

    found = session.settings(ctx)
    for text in found.warnings:
        session.warn(f"warning: {text}")
    rows = list(checks(session.cloud(ctx, found), found))
    _print(rows, ("name", "result", "detail"), "opsfix.config-check/1", "checks", output)
    ctx.exit(3 if any(row["result"] == "failed" for row in rows) else 0)


@group.command(epilog="""\
\b
Examples:
  opsfix config grants >opsfix.sql
  opsfix config grants --account watch@10.0.0.% --for read
""")
@click.option("--account", default="opsfix@%", show_default=True, metavar="USER[@HOST]", help="The account, which must be there already.")
@click.option("--for", "scope", type=click.Choice(["read", "repair", "undo"]), default="repair", show_default=True,
              help="read: dry runs, lists, audits. repair: --commit as well. undo: putting rows back as well.")
@click.pass_context
def grants(ctx: click.Context, /, account: str, scope: str) -> None:
    """Print the GRANTs of an account that may do what the SQL of opsfix does, and nothing else.

    One statement a line, for each configured database as its release is, to be run by who may grant. Backups need other
    rights, see their runbook.
    """
    from opsfix.gateways.opening import open_databases
    from opsfix.grants import Scope, statements

    databases = open_databases(session.settings(ctx))
    if databases is None:
        raise ConfigError("no database is configured, so its name and release are not known: see 'opsfix config show'")
    try:
        lines = [
            line for place in databases.every()
            for line in statements(place.service, str(place.url.database), place.tables(), account, Scope(scope))
        ]
    except DatabaseUnknown as e:
        raise ConfigError(f"the database {e}") from None
    finally:
        databases.dispose()
    session.write("".join(f"{line}\n" for line in dict.fromkeys(lines)))


def _state_dir(found: Settings) -> Value:
    from opsfix import journal
    from opsfix.config import Value

    given = found.values["state_dir"]
    try:
        return Value(str(journal.state_dir(given.value)), given.origin)
    except ConfigError as e:
        return Value(None, str(e))


def _print(rows: list[dict[str, Any]], columns: tuple[str, ...], schema: str, key: str, output: str) -> None:
    from opsfix.render import flat, structured, table

    if output in ("json", "yaml"):
        session.write(structured({"schema": schema, key: rows}, output))
    else:
        session.write(table(rows, columns) if output == "table" else flat(rows, columns, output))
