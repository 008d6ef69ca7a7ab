"""``opsfix instance``."""

from __future__ import annotations

from typing import IO, Any

import click

from opsfix.cli import options
from opsfix.cli.instance_states import COMMANDS


@click.group("instance", context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Repair, restore and purge servers; list their addresses."""


for _command in COMMANDS:
    group.add_command(_command)


@group.command(epilog="""\
\b
Examples:
  opsfix instance purge web-01 --dry-run                     what would be done, nothing changed
  opsfix instance purge web-01 db-02                         delete two servers and all that is left of them
  opsfix instance purge web-01 --fenced gpu-07               its host is off, you say: free its volumes too
  opsfix instance purge --on-hosts gone.txt --limit 0 -y     every server of the hosts in a file
  opsfix instance purge web-01 --commit                      commit the SQL for what nova cannot delete

\b
Never done: a server is not deleted while a living host builds or moves it, nor while a resize waits; no volume is
freed that a guest on a host that is down and not fenced may still write to; no row goes before its guest is proven
absent.""")
@click.argument("servers", metavar="[SERVER]...", nargs=-1)
@click.option("--on-hosts", type=click.File("r", encoding="utf-8-sig"), metavar="FILE",
              help="Every server of the hosts or hypervisors that FILE names, one a line, # for comments; - reads stdin.")
@click.option("--unlock", is_flag=True, help="Purge locked servers too.")
@click.option("--rows", is_flag=True, help="Remove the rows of servers that are deleted, once their guests are proven absent.")
@options.purges
@click.pass_context
def purge(
    ctx: click.Context, /, servers: tuple[str, ...], on_hosts: IO[str] | None, unlock: bool, rows: bool, **given: Any
) -> None:
    """Delete servers through nova, then what cinder, neutron and placement keep for them.

    SERVER is a name or an id, also the id of one that nova's API does not find. SQL that is left to do is shown, and
    committed with --commit.
    """
    from opsfix.cli.repairing import Command, Options, run_repair
    from opsfix.finders import host_names, servers_on
    from opsfix.repairs import INSTANCE_PURGE
    from opsfix.servers import Servers

    hosts = host_names(on_hosts) if on_hosts else ()
    command = Command(
        "instance purge", Servers(unlock=unlock, rows=rows), INSTANCE_PURGE, lambda scene: servers_on(scene, hosts),
        ("nova_api", "nova"), destroys=True, instead="--on-hosts",
    )
    ctx.exit(run_repair(ctx, command, servers, Options(everything=bool(on_hosts), **given)))
