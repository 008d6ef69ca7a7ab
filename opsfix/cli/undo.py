"""``opsfix undo``."""

from __future__ import annotations

import click

from opsfix.cli import options
from opsfix.errors import UsageError


@click.command("undo", context_settings={"help_option_names": ["-h", "--help"]}, epilog="""\
\b
Examples:
  opsfix undo latest                              what would be put back of the last run, nothing changed
  opsfix undo 20261120T071500Z-4f2a --commit      put all of it back
  opsfix undo 4f2a --item 6e1c... --commit        one item of it
  opsfix undo 9b01 --commit                       take an undo back: it is a run of its own

\b
Rows are put back only while each of them is as the run left it. What the API did is undone where it has an inverse
(a reset, an attachment's record, a port forwarding, an aggregate, a disabled service); the rest is listed first.""")
@click.argument("run")
@click.option("--item", "items", multiple=True, metavar="ID", help="Only this item of the run (repeatable).")
@click.option("--commit", is_flag=True, help="Do it; without it, it is shown.")
@click.option("--dry-run", is_flag=True, help="Change nothing, which is the default.")
@options.output
@click.pass_context
def group(ctx: click.Context, /, run: str, items: tuple[str, ...], commit: bool, dry_run: bool, output: str) -> None:
    """Put back what a run changed: its rows as they were before, and by API what has an inverse.

    RUN is a run's name as 'opsfix history' lists it, a part of it that is its own, or 'latest'.
    """
    from opsfix.cli.undoing import run_undo

    if commit and dry_run:
        raise UsageError("--dry-run and --commit exclude each other")
    ctx.exit(run_undo(ctx, run, items, commit=commit, output=output))


