"""The commands of ``opsfix instance`` that bring servers back, and the one that lists their addresses."""

from __future__ import annotations

from typing import Any

import click

from opsfix.cli import options

DATABASES = ("nova_api", "nova")


@click.command("reset-state", epilog="""\
\b
Examples:
  opsfix instance reset-state --all --dry-run        what is in error or hangs in a task, nothing changed
  opsfix instance reset-state web-01                 call it active, where that is true or becomes so
  opsfix instance reset-state web-01 --state error   call it failed: a build that hangs, a host that is dead
  opsfix instance reset-state web-01 --commit        end the task of a paused, rescued or shelved server by SQL

\b
Never called active: what never ran or has no host, what may still be moving, what is on a host that is down. A task
that was begun less than --older-than ago is left alone: somebody may be at work on it.""")
@click.argument("servers", metavar="[SERVER]...", nargs=-1)
@click.option("--state", type=click.Choice(["active", "error"]), default="active", show_default=True,
              help="What nova shall call it.")
@options.repairs
@click.pass_context
def reset_state(ctx: click.Context, /, servers: tuple[str, ...], state: str, **given: Any) -> None:
    """Reset servers that are in error, or hang in a task that nobody works on.

    SERVER is a name or an id. Only nova's records change, no guest: the report says what the guest does. 'opsfix
    instance recover' goes on until the guest runs.
    """
    from opsfix.cli.repairing import Command, Options, run_repair
    from opsfix.repairs import INSTANCE_RESET_STATE
    from opsfix.server_states import ServerStates, unsettled

    command = Command("instance reset-state", ServerStates(state), INSTANCE_RESET_STATE, unsettled, DATABASES)
    ctx.exit(run_repair(ctx, command, servers, Options(**given)))


@click.command("recover", epilog="""\
\b
Examples:
  opsfix instance recover --all --dry-run      what does not run as it should, and what would be tried
  opsfix instance recover web-01               reset it, then stop and start it, then reboot it hard
  opsfix instance recover --all --workers 16   after a power cut, once the hosts are back

\b
Never done: a guest that runs is not touched; what somebody stopped, paused or shelved stays so; nothing is sent to a
host that is down.""")
@click.argument("servers", metavar="[SERVER]...", nargs=-1)
@options.repairs
@click.pass_context
def recover(ctx: click.Context, /, servers: tuple[str, ...], **given: Any) -> None:
    """Bring servers back that are in error, hang in a task, or are called active and do not run.

    SERVER is a name or an id. Each rung is tried only if the one before did not help, and only where nova takes it;
    it counts as repaired when nova says active, no task is left, and the hypervisor says that the guest runs.
    """
    from opsfix.cli.repairing import Command, Options, run_repair
    from opsfix.repairs import INSTANCE_RECOVER
    from opsfix.server_states import ServerStates, unsettled

    command = Command("instance recover", ServerStates(proven=True), INSTANCE_RECOVER, unsettled, DATABASES)
    ctx.exit(run_repair(ctx, command, servers, Options(**given)))


@click.command("restore", epilog="""\
\b
Examples:
  opsfix instance restore                   every soft-deleted server, and when it was deleted
  opsfix instance restore web-01 db-02      take two back
  opsfix instance restore web-01 --dry-run  whether it could be, nothing changed""")
@click.argument("servers", metavar="[SERVER]...", nargs=-1)
@options.purges
@click.pass_context
def restore(ctx: click.Context, /, servers: tuple[str, ...], output: str, **given: Any) -> None:
    """Take soft-deleted servers back; without names, list those that can be.

    SERVER is a name or an id. nova keeps deleted servers only where reclaim_instance_interval is set, and only so long.
    """
    if not servers:
        from opsfix.cli.listing import run_list
        from opsfix.server_states import RESTORABLE, restorable

        run_list(ctx, lambda cloud, _: restorable(cloud), "servers", RESTORABLE, output)
        return
    from opsfix.cli.repairing import Command, Options, run_repair
    from opsfix.repairs import INSTANCE_RESTORE
    from opsfix.server_states import ServerStates

    command = Command("instance restore", ServerStates(deleted=True), INSTANCE_RESTORE, lambda _: set(), ())
    ctx.exit(run_repair(ctx, command, servers, Options(output=output, **given)))


@click.command(epilog="""\
\b
Examples:
  opsfix instance ips                          every server and its addresses, as neutron has them
  opsfix instance ips --host gpu-07 -o csv     those of a host
  opsfix instance ips --from-db -o value       as nova remembers them; neutron is not asked""")
@click.option("--from-db", is_flag=True, help="Read nova's info caches in every cell instead.")
@click.option("--project", metavar="ID", help="Only servers of this project.")
@click.option("--host", metavar="HOST", help="Only servers on this compute host.")
@options.output
@click.pass_context
def ips(ctx: click.Context, /, from_db: bool, project: str | None, host: str | None, output: str) -> None:
    """List every server with every address of every port, fixed and floating.

    Servers that are deleted, soft-deleted ones included, are left out. A ? is a server of which nova remembers nothing.
    """
    from opsfix.cli.streaming import Form, run_stream
    from opsfix.instance_ips import COLUMNS, SCHEMA, by_api, by_database, flattened

    form = Form(SCHEMA, "servers", COLUMNS, flattened)
    if from_db:
        run_stream(ctx, lambda _, tables: by_database(tables, project=project, host=host), form, output, DATABASES)
    else:
        run_stream(ctx, lambda cloud, _: by_api(cloud, project=project, host=host), form, output)


COMMANDS: tuple[click.Command, ...] = (reset_state, recover, restore, ips)
