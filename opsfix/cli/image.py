"""``opsfix image``."""

from __future__ import annotations

from typing import Any

import click

from opsfix.cli import options


@click.group("image", context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Purge images: those that are stuck, and those that nobody needs any more."""


@group.command(epilog="""\
\b
Examples:
  opsfix image purge cirros-old --dry-run       who still needs it, and what would be done; nothing is changed
  opsfix image purge cirros-old                 delete it through glance, if nobody needs it
  opsfix image purge half-sent --older-than 6h  an upload that was cut off, and has not moved for six hours
  opsfix image purge base-2019 --unprotect      the same for a protected image
  opsfix image purge half-deleted --commit      the row of an image that glance cannot delete and no store has

\b
What is never done: an image is never taken from a server, a shelved server, a build or a volume in the making; a row
is never deleted while a store may have its data; and a row of glance's table 'images' is never removed, so that
nobody else can register its id (OSSN-0075).""")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option("--unprotect", is_flag=True, help="Protected images, too: they are unprotected right before.")
@options.purges
@click.pass_context
def purge(ctx: click.Context, /, images: tuple[str, ...], unprotect: bool, **given: Any) -> None:
    """Delete images, whatever their status: queued, saving, uploading, importing, killed, deactivated, active.

    IMAGE is a name or an id. Refused while anybody needs it: servers of any cell, a shelved server whose disk it is,
    builds, volumes in the making, other images. Volumes in which cinder keeps copies of it go first. What only an
    upload or an import moves must have rested for --older-than: a long upload does not show that it lives.
    """
    from opsfix.cli.repairing import Command, Options, run_repair
    from opsfix.images import Images
    from opsfix.repairs import IMAGE_PURGE

    databases = ("glance", "cinder", "nova_api", "nova")
    command = Command("image purge", Images(unprotect=unprotect), IMAGE_PURGE, lambda _: set(), databases, destroys=True)
    ctx.exit(run_repair(ctx, command, images, Options(**given)))
