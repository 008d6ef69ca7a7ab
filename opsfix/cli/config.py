"""``opsfix config``."""

from __future__ import annotations

from typing import Any

import click

from opsfix.cli import options, session


@click.group("config", context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Show and check where opsfix finds its cloud."""


@group.command(epilog="\b\nExample:\n  opsfix --services-conf-dir /srv/etc config show -o json")
@options.output
@click.pass_context
def show(ctx: click.Context, /, output: str) -> None:
    """Print every setting with its origin, passwords masked."""
    from opsfix import journal
    from opsfix.config import SERVICE_FILES, SETTINGS
    from opsfix.secrets import masked

    found = session.settings(ctx)
    rows = [{"name": n, "value": found.values[n].value, "origin": found.values[n].origin} for n in SETTINGS]
    rows[list(SETTINGS).index("state_dir")]["value"] = str(journal.state_dir(found["state_dir"]))
    rows += [
        {"name": f"databases.{n}", "value": masked(d.value) if (d := found.databases.get(n)) else None,
         "origin": d.origin if (d := found.databases.get(n)) else "not configured"}
        for n in SERVICE_FILES
    ]
    _print(rows, ("name", "value", "origin"), "opsfix.config/1", "settings", output)


@group.command(epilog="\b\nExample:\n  opsfix config check && opsfix volume unstick --all")
@options.output
@click.pass_context
def check(ctx: click.Context, /, output: str) -> None:
    """Connect to everything that is configured and say what works. Exits 3 when something does not."""
    from opsfix.cli.checking import checks

    found = session.settings(ctx)
    rows = list(checks(session.cloud(ctx, found), found))
    _print(rows, ("name", "result", "detail"), "opsfix.config-check/1", "checks", output)
    ctx.exit(3 if any(row["result"] == "failed" for row in rows) else 0)


def _print(rows: list[dict[str, Any]], columns: tuple[str, ...], schema: str, key: str, output: str) -> None:
    from opsfix.render import flat, structured, table

    if output in ("json", "yaml"):
        session.write(structured({"schema": schema, key: rows}, output))
    else:
        session.write(table(rows, columns) if output == "table" else flat(rows, columns, output))
