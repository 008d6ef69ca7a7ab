"""``opsfix placement``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from opsfix.cli import options

if TYPE_CHECKING:
    from opsfix.cli.repairing import Command

DATABASES = ("nova_api", "nova", "placement")


@click.group("placement", context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Find and clean what placement counts for nobody."""


@group.command(epilog="""\
\b
Examples:
  opsfix placement audit
  opsfix placement audit -o json || echo 'placement needs a look'

\b
What could be in flight is looked at twice, five seconds apart. Exits 3 when it finds something, 6 when it could not
look at all of it.""")
@options.output
@click.pass_context
def audit(ctx: click.Context, /, output: str) -> None:
    """Compare placement with nova; changes nothing.

    Allocations of servers and migrations that are no more, records without allocations and allocations without a
    record, live servers without an allocation, resource providers without a compute node or of a renamed host.
    """
    from opsfix.cli.auditing import run_audit

    ctx.exit(run_audit(ctx, command(), "opsfix.placement-audit/1", output))


@group.command(epilog="""\
\b
Examples:
  opsfix placement clean --all --dry-run            what would go, nothing changed
  opsfix placement clean --all                      everything that placement's API can delete
  opsfix placement clean --all --commit             the SQL as well, for what the API does not show
  opsfix placement clean gpu-07                     a resource provider, by its name or uuid
  opsfix placement clean 5f5a8a3e-0b0c-4e0e-a1a5-2f1d0f6f3c11 --older-than 0s

\b
What is never done: nothing that a server holds which lives, is built, moved or waits for a confirmation of its resize
is taken; no consumer of another service; nothing while a cell is down. The allocations that a live server lacks only
nova can make: the report has the call.""")
@click.argument("targets", metavar="[CONSUMER|PROVIDER]...", nargs=-1)
@options.repairs
@click.pass_context
def clean(ctx: click.Context, /, targets: tuple[str, ...], **given: Any) -> None:
    """Delete allocations of what nova does not have, and resource providers without a compute node.

    CONSUMER is the id of what was once a server or a migration, PROVIDER a resource provider's name or uuid.
    """
    from opsfix.cli.repairing import Options, run_repair

    ctx.exit(run_repair(ctx, command(), targets, Options(**given)))


def command() -> Command:
    """What audit, clean and doctor look with."""
    from opsfix.cli.repairing import Command
    from opsfix.placements import Placements
    from opsfix.repairs import PLACEMENT_CLEAN

    subject = Placements()
    return Command("placement clean", subject, PLACEMENT_CLEAN, subject.find, DATABASES)
