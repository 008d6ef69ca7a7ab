"""``opsfix port``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from opsfix.cli import options

if TYPE_CHECKING:
    from opsfix.cli.repairing import Command

DATABASES = ("nova_api", "nova")


@click.group("port", context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Find and repair ports of servers: bindings that failed, servers that are gone."""


@group.command(epilog="""\
\b
Examples:
  opsfix port audit
  opsfix port audit -o json || echo 'ports need a look'

\b
Each is looked at twice, five seconds apart. Exits 3 when it finds something, 6 when it could not look at all of it.""")
@options.output
@click.pass_context
def audit(ctx: click.Context, /, output: str) -> None:
    """Find ports of servers that are gone, and ports that neutron could not bind; changes nothing."""
    from opsfix.cli.auditing import run_audit

    ctx.exit(run_audit(ctx, command(), "opsfix.port-audit/1", output))


@group.command(epilog="""\
\b
Examples:
  opsfix port repair --all --dry-run     what would be done, nothing changed
  opsfix port repair --all               bind, unbind or delete every one that was found
  opsfix port repair 0c6c4ab5-6f5e-4a57-9d8f-f8a4f8b1b2a7 --older-than 0s

\b
What is never done: no port is deleted but those that nova itself made for a server that is gone, by nova's own
record; a user's own port only loses the server. Nothing is bound while its server is built, moved or on a dead host.""")
@click.argument("ports", metavar="[PORT]...", nargs=-1)
@options.repairs
@click.pass_context
def repair(ctx: click.Context, /, ports: tuple[str, ...], **given: Any) -> None:
    """Bind ports again whose binding failed; delete or unbind ports of servers that are gone.

    PORT is a name or an id. A guest that was started while its port was not bound needs a hard reboot afterwards.
    """
    from opsfix.cli.repairing import Options, run_repair

    ctx.exit(run_repair(ctx, command(), ports, Options(**given)))


def command() -> Command:
    """What audit, repair and doctor look with."""
    from opsfix.cli.repairing import Command
    from opsfix.compute_ports import ComputePorts
    from opsfix.repairs import PORT_REPAIR

    subject = ComputePorts()
    return Command("port repair", subject, PORT_REPAIR, subject.find, DATABASES)
