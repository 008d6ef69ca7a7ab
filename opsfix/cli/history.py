"""``opsfix history``."""

from __future__ import annotations

from datetime import timedelta

import click

from opsfix.cli import options


class History(click.Group):
    """``opsfix history [RUN]`` and ``opsfix history prune``: a run is never called prune."""

    default = "show"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """What is no command of this group is for 'show'."""
        return super().parse_args(ctx, args if args and args[0] in self.commands else [self.default, *args])


@click.group("history", cls=History, add_help_option=False, context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Runs of opsfix: which there were, and what each did."""


@group.command("show", epilog="""\
\b
Examples:
  opsfix history                                  every run, newest first
  opsfix history --failed --since 2d              what went wrong since the day before yesterday
  opsfix history --command 'volume unstick'       runs of one command
  opsfix history 20261120T071500Z-4f2a            every item, step, statement and row of one run
  opsfix history latest -o json                   the same of the newest, for a machine to read
  opsfix history prune --older-than 90d           delete journals, see 'opsfix history prune --help'""")
@click.argument("run", required=False)
@click.option("--since", type=options.Age(), metavar="AGE", help="Only runs that began less than this ago, as 12h or 7d.")
@click.option("--command", "command", metavar="NAME", help="Only runs of this command, as 'volume unstick' or volume.")
@click.option("--failed", is_flag=True, help="Only runs that died or did not end with exit code 0.")
@options.output
@click.pass_context
def show(
    ctx: click.Context, /, run: str | None, since: timedelta | None, command: str | None, failed: bool, output: str
) -> None:
    """List the runs, or tell all that RUN did: its items, steps, statements, rows before and after.

    RUN is a run's name, a part of it that is its own, or 'latest'. Of a run that died, what the journal leaves open is
    decided by reading the rows.
    """
    from opsfix.cli import past

    if run is not None:
        past.tell(ctx, run, output)
    else:
        past.list_runs(ctx, since, command, failed=failed, output=output)


@group.command("prune", epilog="""\
\b
Examples:
  opsfix history prune --older-than 90d --dry-run   which would go
  opsfix history prune --older-than 90d             from cron, once a month""")
@click.option("--older-than", type=options.Age(), required=True, metavar="AGE", help="Delete what began longer ago than this.")
@click.option("--dry-run", is_flag=True, help="Delete nothing; show what would go.")
@options.output
@click.pass_context
def prune(ctx: click.Context, /, older_than: timedelta, dry_run: bool, output: str) -> None:
    """Delete the journals of old runs; then they can no longer be undone.

    A run in doubt is kept: one that died, one that is at work, one whose outcome is unknown.
    """
    from opsfix.cli import past

    past.prune(ctx, older_than, dry_run=dry_run, output=output)
