"""``opsfix compute``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from opsfix.cli import options


@click.group("compute", context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Compute hosts: list them, drain them, map new ones, take dead ones out of every service."""


@group.command("list", epilog="""\
\b
Examples:
  opsfix compute list                   every host: its heartbeat, servers, nodes, providers, dead agents
  opsfix compute list --dead            those that nova does not call up
  opsfix compute list --dead -o json    the same for a machine to read""")
@click.option("--dead", is_flag=True, help="Only hosts that nova does not call up.")
@options.output
@click.pass_context
def list_(ctx: click.Context, /, dead: bool, output: str) -> None:
    """List compute hosts with what nova, placement and neutron tell of each.

    The cell, and servers that are soft-deleted, are known only where nova's databases are configured.
    """
    from opsfix.cli.listing import run_list
    from opsfix.compute_list import COLUMNS, computes

    run_list(ctx, lambda cloud, databases: computes(cloud, databases, dead=dead), "computes", COLUMNS, output)


@group.command(epilog="""\
\b
Examples:
  opsfix compute purge gpu-07 --dry-run          what is left of gpu-07, and what would be done; nothing is changed
  opsfix compute purge gpu-07                    down for 15 minutes: everything that the APIs can do
  opsfix compute purge gpu-07 --fenced gpu-07    it is off, you say: do not wait for its heartbeat to grow old
  opsfix compute purge gpu-07 --commit           the SQL as well, for what an earlier clean-up left behind
  opsfix compute purge net-02                    a network node: its routers and networks go to live agents first

\b
What is never done: nothing of a host that reports is touched; servers, volumes and moves are never lost with their
host; gpu-1 is not gpu-10, gpu-1.site-b or GPU-1.""")
@click.argument("hosts", metavar="HOST...", nargs=-1, required=True)
@click.option("--cell", metavar="CELL", help="The cell that is meant, name or uuid, where two have a host of this name.")
@options.purges
@click.pass_context
def purge(ctx: click.Context, /, hosts: tuple[str, ...], cell: str | None, **given: Any) -> None:
    """Take dead compute hosts out of nova, placement, neutron and cinder.

    HOST is a host's name as the services spell it; one whose nova-compute is gone already may be named, too. Refused
    while anything on it reports, and while servers, unfinished migrations or volumes depend on it. It is watched for
    ten seconds before anything is changed.
    """
    from opsfix.cli.repairing import Command, Options, run_repair
    from opsfix.computes import Computes
    from opsfix.repairs import COMPUTE_PURGE

    databases = ("cinder", "nova_api", "nova", "placement")
    command = Command("compute purge", Computes(cell), COMPUTE_PURGE, lambda _: set(), databases, destroys=True)
    ctx.exit(run_repair(ctx, command, hosts, Options(**given)))


@group.command(epilog="""\
\b
Examples:
  opsfix compute drain gpu-07 --dry-run           which way each server would go, nothing changed
  opsfix compute drain gpu-07                     live-migrate what runs, cold-migrate what is off, two at a time
  opsfix compute drain gpu-07 --workers 4 --patience 2h
  opsfix compute drain gpu-07 --fenced gpu-07     it is down and off, you say: make its servers anew elsewhere

\b
Run it again to go on where it ended. An evacuated server gets its root disk anew from its image, unless it boots from
a volume or the hosts share their storage. Never done: a server of a host that is down is not evacuated without --fenced.""")
@click.argument("host", metavar="HOST")
@click.option("--patience", type=options.Age(), default="30m", show_default=True, metavar="AGE",
              help="How long one server may take until its end counts as unknown.")
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="Servers that move at a time.")
@options.draining
@click.pass_context
def drain(ctx: click.Context, /, host: str, patience: timedelta, **given: Any) -> None:
    """Disable a compute host and move every server off it.

    Each server counts as moved when nova has it on another host, in the state it was in, with no task and no migration
    left over. The host stays disabled.
    """
    from opsfix.cli.draining import run_drain
    from opsfix.cli.repairing import Options

    settled = Options(commit=False, older_than=timedelta(0), limit=0, **given)
    ctx.exit(run_drain(ctx, host, patience.total_seconds(), settled))


@group.command(epilog="""\
\b
Examples:
  opsfix compute discover --dry-run     which hosts nova has and sends no server to
  opsfix compute discover               map them, each into the cell whose database has it
  opsfix compute discover --commit      by SQL, where there is no nova-manage on this host
  opsfix compute discover gpu-07        see to one""")
@click.argument("hosts", metavar="[HOST]...", nargs=-1)
@options.discovering
@click.pass_context
def discover(ctx: click.Context, /, hosts: tuple[str, ...], **given: Any) -> None:
    """Find compute hosts that are mapped to no cell, and map them: by nova-manage, or where it is not, by SQL.

    It needs the databases of nova. The SQL is shown, and committed with --commit.
    """
    from opsfix.cli.repairing import Command, Options, run_repair
    from opsfix.discoveries import NEEDED, MappedHosts, unmapped
    from opsfix.repairs import COMPUTE_DISCOVER

    command = Command("compute discover", MappedHosts(), COMPUTE_DISCOVER, unmapped, NEEDED)
    settled = Options(
        older_than=timedelta(0), fenced=(), limit=0, everything=not hosts, **given,
    )
    ctx.exit(run_repair(ctx, command, hosts, settled))
