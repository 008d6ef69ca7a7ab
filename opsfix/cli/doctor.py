"""``opsfix doctor``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from opsfix.cli import options


@click.command("doctor", context_settings={"help_option_names": ["-h", "--help"]}, epilog="""\
\b
Examples:
  opsfix doctor                                        what is broken, and what repairs it
  opsfix doctor --only volumes --only placement        a part of it
  opsfix doctor --skip forwardings -o json             all but one, for a machine to read
  opsfix doctor --explain placement-provider-left      the runbook of a finding
  opsfix doctor --older-than 15m --metrics /var/lib/node_exporter/opsfix_doctor.prom
  opsfix doctor --since-last || echo 'something new is broken'
  opsfix doctor --watch 60s                            on a terminal, until Ctrl-C

\b
Checks: volumes, mappings, servers, agents, quotas, services, placement, ports, forwardings, shares,
images, backups, databases.
Exits 0 when all is well, 3 with findings, 6 when a part could not be looked at.""")
@click.option("--only", multiple=True, metavar="NAME", help="Only this check (repeatable).")
@click.option("--skip", multiple=True, metavar="NAME", help="All but this check (repeatable).")
@click.option("--explain", metavar="NAME", help="Print the runbook of a finding or a check, and look at nothing.")
@click.option("--metrics", metavar="FILE", type=click.Path(dir_okay=False), help="Write a Prometheus text file.")
@click.option("--since-last", is_flag=True, help="Tell only what the last run with this option had not.")
@click.option("--watch", type=options.Age(), metavar="AGE", help="On a terminal: look again and again, this long apart.")
@click.option("--older-than", type=options.Age(), default="0s", show_default=True, metavar="AGE",
              help="Leave out what changed less than this ago; 0s takes all that stays as it is at two looks.")
@click.option("--workers", type=click.IntRange(1, 64), help="API calls in flight, of each check. [default: 8]")
@options.output
@click.pass_context
def group(
    ctx: click.Context, /, explain: str | None, watch: timedelta | None, **given: Any
) -> None:
    """Look at everything, change nothing: what is broken anywhere, and the command that repairs it.

    Each listing is read once. What may be in flight is looked at twice, ten seconds apart: what moved meanwhile is left out.
    """
    from opsfix.cli.diagnosed import Asked, explained, run_doctor, watched

    if explain is not None:
        explained(explain)
        return
    asked = Asked(**given)
    ctx.exit(watched(ctx, asked, watch) if watch is not None else run_doctor(ctx, asked))
