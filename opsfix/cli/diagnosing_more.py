"""What the checks look with: the repair commands' own finders and looks, and the audits that repair nothing themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from opsfix.cli.auditing import Audited, audited
from opsfix.cli.repairing import Command

if TYPE_CHECKING:
    from opsfix.cli.diagnosing import Ground

#: What a database server has counted since it was started: worth knowing, and nothing that is broken now.
COUNTED = ("aborted connects", "galera held up")
#: In these an image is on its way, or was left there; of the others, glance is done.
UNFINISHED = ("queued", "saving", "uploading", "importing", "killed", "pending_delete")


def volumes() -> Command:
    """Of 'volume unstick'."""
    from opsfix.finders import stuck_volumes
    from opsfix.repairs import VOLUME_UNSTICK
    from opsfix.volumes import Volumes

    return Command("volume unstick", Volumes(), VOLUME_UNSTICK, stuck_volumes, ("cinder", "nova_api", "nova"))


def mappings() -> Command:
    """Of 'volume reconcile'."""
    from opsfix.mappings import MappedVolumes
    from opsfix.mismatches import mismatched_volumes
    from opsfix.repairs import VOLUME_RECONCILE

    return Command("volume reconcile", MappedVolumes(), VOLUME_RECONCILE, mismatched_volumes, ("cinder", "nova_api", "nova"))


def servers() -> Command:
    """Of 'instance reset-state'."""
    from opsfix.repairs import INSTANCE_RESET_STATE
    from opsfix.server_states import ServerStates, unsettled

    return Command("instance reset-state", ServerStates(), INSTANCE_RESET_STATE, unsettled, ("nova_api", "nova"))


def agents() -> Command:
    """Of 'agent clean'."""
    from opsfix.agents import Agents
    from opsfix.repairs import AGENT_CLEAN, COMPUTE_PURGE

    subject = Agents(None)
    return Command(
        "agent clean", subject, (*AGENT_CLEAN, *COMPUTE_PURGE), subject.dead, ("cinder", "nova_api", "nova", "placement"), destroys=True,
    )


def placement() -> Command:
    """Of 'placement clean'."""
    from opsfix.cli.placement import command

    return command()


def ports() -> Command:
    """Of 'port repair'."""
    from opsfix.cli.port import command

    return command()


def _row(finding: str, kind: str, subject_id: str, reason: str, command: str, **more: Any) -> dict[str, Any]:
    return {
        "finding": finding, "type": kind, "id": subject_id, "name": "", "project_id": "", "reason": reason, "refused": False,
        "command": command, "all": None, "changed_at": None,
    } | more


def forwardings(ground: Ground) -> Audited:
    """Of 'forward audit'."""
    from opsfix.forwarding import audit
    from opsfix.forwarding.reading import Reader

    faults = audit.faults(audit.read(Reader(ground.scene.cloud, ground.workers)))
    return Audited([
        _row(
            f.finding, "forwarding", f.forwarding.id if f.forwarding else f.floating_ip.id, f.reason, f.command,
            name=f.floating_ip.address, project_id=f.floating_ip.project_id,
        )
        for f in faults
    ])


def quotas(ground: Ground) -> Audited:
    """Of 'volume quota-sync', for which only cinder's database tells."""
    from opsfix.config import snapshots_counted
    from opsfix.quotas import Projects
    from opsfix.repairs import QUOTA_SYNC

    if not ground.scene.has("cinder"):  # said already
        return Audited()
    subject = Projects(snapshots=snapshots_counted(Path(ground.settings["services_conf_dir"])))
    command = Command("volume quota-sync", subject, QUOTA_SYNC, subject.find, ("cinder",))
    return audited(command, ground.scene, ground.workers, option="--project ")


def services(ground: Ground) -> Audited:
    """Hosts with a nova-compute in several cells: nova refuses every call that names one of them."""
    hosts = Counter(s.host for s in ground.scene.cloud.compute_services() if s.binary == "nova-compute")
    return Audited([
        _row(
            "compute-service-twin", "compute", host, f"{count} cells have a nova-compute of this name",
            f"opsfix compute purge {quote(host)} --cell CELL", name=host,
        )
        for host, count in hosts.items() if count > 1
    ])


def shares(ground: Ground) -> Audited:
    """Deleted servers with mapped shares, of which only nova's database tells: archiving stops at the first of them."""
    if not ground.scene.has("nova"):  # said already
        return Audited()
    assert ground.scene.databases is not None
    return Audited([
        _row(
            "instance-share-left", "server", row["uuid"],
            f"it is deleted and {row['shares']} of its shares are still mapped: nova-manage db archive_deleted_rows stops at it",
            f"opsfix instance purge {row['uuid']} --rows --commit", name=row["name"] or "", project_id=row["project_id"] or "",
            changed_at=row["deleted_at"].isoformat() if row["deleted_at"] else None,
        )
        for row in ground.scene.databases.read("read_shares_left.nova", {})
    ])


def images(ground: Ground) -> Audited:
    """Images on which nobody works any more, as far as their last change tells."""
    scene = ground.scene
    return Audited([
        _row(
            "image-stuck", "image", image.id, f"it is {image.status}", f"opsfix image purge {image.id}",
            name=image.name, project_id=image.project_id, changed_at=image.changed_at.isoformat() if image.changed_at else None,
        )
        for image in scene.cloud.images.images() if image.status in UNFINISHED and scene.idle(image.changed_at)
    ])


def _seen(ground: Ground, *, backups_only: bool) -> Iterable[Any]:
    from opsfix.backup import status
    from opsfix.backup.nightly import configured
    from opsfix.backup.store import Store

    store = Store(Path(ground.settings["backup_dir"]).absolute())
    found = status.look([] if backups_only else configured(ground.settings, None), store)
    return [s for s in found.seen if (s.what == "newest backup") == backups_only]


def backups(ground: Ground) -> Audited:
    """The age of the newest backup. Where opsfix never made one, another program may."""
    [newest] = _seen(ground, backups_only=True)
    if newest.value == "none":
        ground.notes.append(str(newest.look))
        return Audited()
    if newest.look is None:
        return Audited()
    return Audited([_row("backup-old", "backup", newest.value.split(",")[0], newest.look, "opsfix db backup")])


def databases(ground: Ground) -> Audited:
    """Of 'db status': what a person has to do something about."""
    found = Audited()
    if ground.scene.databases is None:  # said already
        return found
    for seen in _seen(ground, backups_only=False):
        if seen.value == "unreachable":
            found.unchecked.append({"type": "database", "id": seen.what, "reason": str(seen.look)})
        elif seen.value == "not readable" or (seen.look and seen.what in COUNTED):
            ground.notes.append(f"{seen.what} of {seen.server}: {seen.look}")
        elif seen.look:
            found.findings.append(_row(
                f"database-{seen.what.split(' of ')[0].replace(' ', '-')}", "database", f"{seen.server} {seen.what}".strip(),
                f"{seen.value}: {seen.look}", "opsfix db status",
            ))
    return found
