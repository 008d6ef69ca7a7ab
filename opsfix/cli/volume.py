"""``opsfix volume``."""

from __future__ import annotations

from typing import Any

import click

from opsfix.cli import options


@click.group("volume", context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Repair volumes: stuck states, mappings and attachments, counts."""


@group.command(epilog="""\
\b
Examples:
  opsfix volume unstick --all --dry-run           what is stuck in any project, nothing changed
  opsfix volume unstick data-01 --older-than 0s   one volume, however lately it changed
  opsfix volume unstick --all --fenced gpu-07     gpu-07 is off: free what is stuck there
  opsfix volume unstick --all --commit -o json    from cron, for a machine to read

\b
What is never done: a boot disk is never cut; a volume is never called available while nova maps it, while cinder has
a live attachment of it, or while a guest on a host that is down and not fenced may hold it.""")
@click.argument("volumes", metavar="[VOLUME]...", nargs=-1)
@options.repairs
@click.pass_context
def unstick(ctx: click.Context, /, volumes: tuple[str, ...], **given: Any) -> None:
    """Free volumes that are stuck: attaching, detaching, reserved, in-use or available in disagreement with their
    attachments, creating, deleting, error_deleting, uploading, downloading.

    VOLUME is a name or an id. The API is used first; SQL that it leaves to do is shown, and committed with --commit.
    """
    from opsfix.cli.repairing import Command, Options, run_repair
    from opsfix.finders import stuck_volumes
    from opsfix.repairs import VOLUME_UNSTICK
    from opsfix.volumes import Volumes

    command = Command("volume unstick", Volumes(), VOLUME_UNSTICK, stuck_volumes, ("cinder", "nova_api", "nova"))
    ctx.exit(run_repair(ctx, command, volumes, Options(**given)))


@group.command(epilog="""\
\b
Examples:
  opsfix volume reconcile --all --dry-run           where cinder and nova disagree, nothing changed
  opsfix volume reconcile --all                     repair by API what no guest uses, show the SQL
  opsfix volume reconcile data-01 --detach          take the disk from the guest that cinder does not know of
  opsfix volume reconcile VOLUME_ID --commit        the mapping of a volume that was deleted under its server

\b
What is never done: a boot disk is never cut; a volume is never called available while nova maps it or a guest may hold
it; a disk that a guest may use is taken from it only with --detach, or where cinder calls the volume available, so that
anybody may attach it. Servers that must not be rebooted meanwhile (2023.2 and newer) are named on stderr.""")
@click.argument("volumes", metavar="[VOLUME]...", nargs=-1)
@click.option("--detach", is_flag=True, help="Detach the disk from a guest that may use it, where cinder has no attachment for it.")
@options.repairs
@click.pass_context
def reconcile(ctx: click.Context, /, volumes: tuple[str, ...], detach: bool, **given: Any) -> None:
    """Bring nova's mappings of volumes and cinder's attachments together while the servers run: mappings without
    attachment, attachments without mapping, duplicates, wrong attachment ids, mappings of volumes that are gone.

    VOLUME is a name or an id; the id alone finds a volume that was deleted. What hangs on its way (attaching, detaching,
    reserved) and agrees on both sides is for 'opsfix volume unstick'.
    """
    from opsfix.cli.repairing import Command, Options, run_repair
    from opsfix.mappings import MappedVolumes
    from opsfix.mismatches import mismatched_volumes
    from opsfix.repairs import VOLUME_RECONCILE

    databases = ("cinder", "nova_api", "nova")
    command = Command("volume reconcile", MappedVolumes(detach=detach), VOLUME_RECONCILE, mismatched_volumes, databases)
    ctx.exit(run_repair(ctx, command, volumes, Options(**given)))


@group.command("quota-sync", epilog="""\
\b
Examples:
  opsfix volume quota-sync --all --dry-run            stored against true, of every project
  opsfix volume quota-sync --project demo             one project; the SQL is shown
  opsfix volume quota-sync --all --commit             set every wrong count to what there is
  opsfix volume quota-sync --all --limit 0 -o json    all of a big cloud, for a machine to read

\b
What is never done: a count is never changed while a reservation of its project is live or while its volumes, snapshots or
backups have just begun to be made or deleted; live reservations are never removed; no row is ever deleted for good.""")
@click.option("--project", "projects", metavar="PROJECT", multiple=True, help="A project's id, or its name (repeatable).")
@click.option("--snapshot-gigabytes/--no-snapshot-gigabytes", "snapshots", default=None,
              help="Whether cinder adds the size of snapshots to gigabytes; by default as cinder.conf says (no_snapshot_gb_quota).")
@options.repairs
@click.pass_context
def quota_sync(ctx: click.Context, /, projects: tuple[str, ...], snapshots: bool | None, **given: Any) -> None:
    """Set what cinder has counted for projects (quota usage) to what there is: volumes, gigabytes and snapshots, also of each
    volume type, backups, backup_gigabytes and groups; double counts and expired reservations go.

    There is no API for it: everything is shown as SQL, and committed with --commit. cinder's database is needed.
    """
    from pathlib import Path

    from opsfix.cli import session
    from opsfix.cli.repairing import Command, Options, run_repair
    from opsfix.config import snapshots_counted
    from opsfix.quotas import Projects
    from opsfix.repairs import QUOTA_SYNC

    if snapshots is None:
        snapshots = snapshots_counted(Path(session.settings(ctx)["services_conf_dir"]))
    subject = Projects(snapshots=snapshots)
    ctx.exit(run_repair(ctx, Command("volume quota-sync", subject, QUOTA_SYNC, subject.find, ("cinder",)), projects, Options(**given)))
