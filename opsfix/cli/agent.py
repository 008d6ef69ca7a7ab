"""``opsfix agent``."""

from __future__ import annotations

from typing import Any

import click

from opsfix.cli import options
from opsfix.errors import UsageError

SERVICES = ("nova", "neutron", "cinder")


@click.group("agent", context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Agents and services of nova, neutron and cinder: list them, remove those that are dead."""


@group.command("list", epilog="""\
\b
Examples:
  opsfix agent list                    every agent: its heartbeat, and what it serves
  opsfix agent list --dead             those that their service does not call up
  opsfix agent list --dead -o json     the same for a machine to read""")
@click.option("--dead", is_flag=True, help="Only agents that their service does not call up.")
@options.output
@click.pass_context
def list_(ctx: click.Context, /, dead: bool, output: str) -> None:
    """List nova's and cinder's services and neutron's agents in one table, with what each holds.

    The routers and networks are those that neutron has given to an agent, whatever the agent says of itself.
    """
    from opsfix.agent_list import COLUMNS, agents
    from opsfix.cli.listing import run_list

    run_list(
        ctx, lambda cloud, databases: agents(cloud, databases, dead=dead), "agents", COLUMNS, output,
        ("nova_api", "nova", "cinder"),
    )


@group.command(epilog="""\
\b
Examples:
  opsfix agent clean --all --dry-run               what is dead, and what would be done; nothing is changed
  opsfix agent clean --host net-02                 all that is dead on net-02, its routers and networks first
  opsfix agent clean --host store@lvm --commit     one backend that owns no volume, by SQL where cinder-manage is not here
  opsfix agent clean --service nova --older-than 1d
  opsfix agent clean 1c1d2f6e-8ae9-4b4f-9d55-2fd7a6f8f6a0

\b
What is never done: what reports is not removed, nor what is only told to take no work; routers and networks are not
left without an agent, nor volumes without a backend; gpu-1 is not gpu-10 or GPU-1.""")
@click.argument("agents", metavar="[AGENT]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Everything that is dead.")
@click.option("--host", "hosts", multiple=True, metavar="HOST|HOST@BACKEND",
              help="What is on this host, or this one backend of it (repeatable).")
@click.option("--service", type=click.Choice(SERVICES), help="Only this service's.")
@options.purges
@click.pass_context
def clean(
    ctx: click.Context, /, agents: tuple[str, ...], everything: bool, hosts: tuple[str, ...] | None, service: str | None,
    **given: Any,
) -> None:
    """Remove agents and services that are dead for good, and give what they serve to live ones first.

    AGENT is an id as 'opsfix agent list' shows it. Each is watched for one more period of heartbeats before anything is
    changed. A nova-compute goes by the rules of 'opsfix compute purge'.
    """
    from opsfix.agents import Agents
    from opsfix.cli.repairing import Command, Options, run_repair
    from opsfix.repairs import AGENT_CLEAN, COMPUTE_PURGE

    if agents and (everything or hosts):
        raise UsageError("name agents, or say --all or --host (not both): see 'opsfix agent clean --help'")
    subject = Agents(service)
    command = Command(
        "agent clean", subject, (*AGENT_CLEAN, *COMPUTE_PURGE), subject.dead, ("cinder", "nova_api", "nova", "placement"),
        destroys=True, instead="--all, --host or --service", several=True,
    )
    # a service alone is all that is dead of it; a host narrows --all down
    whole = (everything or service is not None) and not (agents or hosts)
    ctx.exit(run_repair(ctx, command, agents or hosts or (), Options(everything=whole, **given)))
