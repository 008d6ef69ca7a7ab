"""``opsfix apply``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from opsfix.cli import options


@click.command("apply", context_settings={"help_option_names": ["-h", "--help"]}, epilog="""\
\b
Examples:
  opsfix volume unstick --all --dry-run --plan-out stuck.json   make a plan
  opsfix apply stuck.json --dry-run                             would it still be done as it says?
  opsfix apply stuck.json                                       its API steps; its SQL is shown
  opsfix apply stuck.json --commit                              its SQL as well

\b
Each item is looked at again: one that would be repaired in any other way than the plan says is refused. A plan is
refused as a whole when it was edited, is too old, or was made for another cloud, release or opsfix.""")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--commit", is_flag=True, help="Commit the guarded SQL of the plan.")
@click.option("--dry-run", is_flag=True, help="Change nothing anywhere; show what is still as planned.")
@click.option("--plan-max-age", type=options.Age(), default="1h", show_default=True, metavar="AGE", help="Refuse an older plan.")
@click.option("--workers", type=click.IntRange(1, 64), help="API calls in flight. [default: 8]")
@options.output
@click.pass_context
def group(
    ctx: click.Context, /, file: Path, commit: bool, dry_run: bool, plan_max_age: timedelta, workers: int | None, output: str
) -> None:
    """Carry out the plan in FILE, which --dry-run --plan-out FILE wrote: exactly that, nothing wider."""
    from opsfix.cli.applying import run_plan

    run_plan(ctx, file, plan_max_age, {"commit": commit, "dry_run": dry_run, "workers": workers, "output": output})
