"""nova's mappings of a volume against cinder's attachments of it, while the server runs: what ``volume reconcile`` looks at.

The facts are those of opsfix.volumes, and what only a comparison of both sides tells. Of several mappings the one that is
wrong is looked at: its server and its row are the facts ``server.*`` and ``mapping.*``.

Sources of the rules: nova/compute/manager.py (_delete_dangling_bdms, reboot_instance), nova/compute/api.py (detach_volume),
cinder/volume/api.py (begin_detaching, attachment_deletion_allowed).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from opsfix.errors import CloudUnknown
from opsfix.finders import UNSETTLED
from opsfix.guards import Unread
from opsfix.resources import Mapping, Server, Volume
from opsfix.scene import Scene
from opsfix.subject import Look
from opsfix.volumes import ATTACH_STATES, VolumeCase, Volumes, around, boots_from, facts_of, is_off, read_case, standing_of

#: So many volumes are named in a warning, the boot disk first.
NAMED = 3
#: What of the facts is of one mapping and its server.
_OF_ONE = ("mapping.", "server.")


class MappedVolumes(Volumes):
    """Volumes as the engine's subject, also those that nova maps and cinder has no more. ``detach``: the operator lets a
    disk be taken from a guest that may use it."""

    def __init__(self, *, detach: bool = False):
        self._detach = detach

    def look(self, scene: Scene, subject_id: str) -> Look | None:
        """See subject.Subject."""
        case = read_case(scene, subject_id) or _left(scene, subject_id)
        if case is None:
            return None
        facts = mapping_facts(case, scene) | {"detach.asked": self._detach}
        state = f"{case.volume.status}, {len(case.attachments)} attachments, {len(case.mappings)} mappings"
        return Look(subject_id, case.volume.name, case.volume.project_id, facts, state, _healthy(case))

    def gone(self, subject_id: str) -> dict[str, Any]:
        """See subject.Subject."""
        return super().gone(subject_id) | {"mappings.live": 0, "mappings.dangling": 0}


def _healthy(case: VolumeCase) -> str:
    agreed = "cinder and nova agree on it"
    if case.volume.status not in UNSETTLED:
        return agreed
    return f"{agreed}; if it stays {case.volume.status}, see 'opsfix volume unstick'"


def _left(scene: Scene, volume_id: str) -> VolumeCase | None:
    """What nova still maps of a volume that cinder answers 404 for; None where nova maps nothing.

    Raises CloudUnknown where cinder's own table has the volume.
    """
    if scene.databases is not None and scene.has("cinder") and scene.databases.read("read_volume.cinder", {"volume_id": volume_id}):
        raise CloudUnknown(f"cinder's API answers 404 for volume {volume_id}, and its table has it")
    case = around(scene, Volume(id=volume_id, name="", project_id="", status="deleted"), [])
    return case if case.mappings else None


def mapping_facts(case: VolumeCase, scene: Scene) -> dict[str, Any]:
    """The case as facts: plain values, or Unread."""
    facts = facts_of(case, scene)
    dangling = _dangling(case)
    twice = _twice(case)
    held = facts["attachments.mapped"] > 0
    wrong = twice[1] if twice else dangling[0] if dangling and (held or case.volume.status == "deleted") else None
    if wrong:
        facts |= _of_one(replace(case, mappings=(wrong,)), scene)
    facts |= {
        "volume.gone": case.volume.status == "deleted",
        "volume.elsewhere": bool(dangling) and held and not twice and case.volume.status in ATTACH_STATES,
        "dangling.root": any(m.root for m in dangling),
        "server.guest": _guest(wrong or (case.mappings[0] if len(case.mappings) == 1 else None), case, scene),
    }
    facts |= _own_facts(case, scene, facts) | _twice_facts(case, twice)
    facts["mapping.keep"] = _keep(facts)
    facts["volume.sides_agree"] = _agree(facts, twice=bool(twice))
    return facts | {"danger": _danger(case, scene, dangling)}


def _keep(facts: dict[str, Any]) -> str:
    """The calls that leave the disk in a stopped server's guest and make cinder's side anew: nova first makes a second
    attachment, which cinder allows for a volume that is available, and connects it, which it allows beside no other one."""
    volume_id, server_id = facts["volume.id"], facts.get("server.id")
    refresh = f"'nova-manage volume_attachment refresh {server_id} {volume_id} CONNECTOR'"
    first = " and ".join(
        f"'openstack --os-volume-api-version 3.27 volume attachment delete {a}'" for a in facts["attachments.own_ids"]
    )
    if first:
        return f"{first} and at once {refresh}"
    if facts["attachments.live"] or facts["volume.status"] == "available":
        return refresh
    return f"'openstack volume set --state available --detached {volume_id}' and at once {refresh}"


def _dangling(case: VolumeCase) -> list[Mapping]:
    """The mappings whose attachment cinder does not have, in an order that stays."""
    live = {a.id for a in case.attachments}
    found = [m for m in case.mappings if m.attachment_id and m.attachment_id not in live]
    return sorted(found, key=lambda m: (m.server_id, m.uuid or ""))


def _of_one(view: VolumeCase, scene: Scene) -> dict[str, Any]:
    return {k: v for k, v in facts_of(view, scene).items() if k == "cell" or k.startswith(_OF_ONE)}


def _twice(case: VolumeCase) -> tuple[list[Mapping], Mapping] | None:
    """The mappings of the first server that maps the volume more than once, and the one of them to go: without an
    attachment of cinder, else without connection data, else the later one."""
    for server_id in sorted({m.server_id for m in case.mappings}):
        rows = [m for m in case.mappings if m.server_id == server_id]
        if len(rows) > 1:
            good = _live_of(case, server_id)
            rows.sort(key=lambda m: (m.attachment_id not in good, not m.connected, m.id or 0, m.uuid or ""))
            return rows, rows[-1]
    return None


def _live_of(case: VolumeCase, server_id: str) -> set[str | None]:
    return {a.id for a in case.attachments if a.server_id == server_id}


def _twice_facts(case: VolumeCase, twice: tuple[list[Mapping], Mapping] | None) -> dict[str, Any]:
    """Which of a server's mappings stays: the one whose attachment cinder has. ``duplicate.guest`` is 'absent'
    where the guest cannot have a second disk through the other one."""
    if twice is None:
        return {"duplicate.server": None}
    rows, wrong = twice
    kept = rows[0]
    good = _live_of(case, wrong.server_id) & {m.attachment_id for m in rows}
    return {
        "duplicate.server": wrong.server_id,
        "duplicate.attachments": len(good),
        "duplicate.kept": kept.id,
        "duplicate.kept_attachment": kept.attachment_id,
        "duplicate.guest": _second_disk(kept, wrong, case.servers[wrong.server_id]),
        "mapping.root": boots_from(replace(case, mappings=tuple(rows))),
    }


def _second_disk(kept: Mapping, wrong: Mapping, server: Server) -> str | Unread:
    if wrong.connected is None:
        return Unread("only nova's database tells")
    same = wrong.device is not None and wrong.device == kept.device
    if not wrong.connected or same or is_off(server) or server.vm_state == "shelved_offloaded":
        return "absent"
    return f"may have it as {wrong.device or 'another disk'} as well"


def _guest(mapping: Mapping | None, case: VolumeCase, scene: Scene) -> str | Unread:
    """Whether the guest of the server that maps the volume may have its disk: 'absent', or where it is."""
    if mapping is None:
        return Unread("not just one mapping is wrong")
    server = case.servers[mapping.server_id]
    if mapping.connected is False or server.vm_state == "shelved_offloaded" or is_off(server):
        return "absent"
    if not server.host:
        return "may run on a host that nova does not show"
    state = scene.compute_state(server.host)
    return f"runs on {server.host}" if state == "up" else f"may run on {server.host} ({state})"


def _own_facts(case: VolumeCase, scene: Scene, facts: dict[str, Any]) -> dict[str, Any]:
    """The attachments that a server has beside its mapping, which names another one that cinder does not have."""
    servers = {m.server_id for m in case.mappings}
    beside = [a for a in case.attachments if standing_of(a, case, scene) == "connected without mapping"]
    own = tuple(a.id for a in beside if servers == {a.server_id})
    return {
        "attachments.own_ids": own,
        "attachments.own_uses": {a.id: (a.server_id, a.status) for a in beside if a.id in own},
        "attachments.strange": facts["attachments.unproven"] - len(own),
        "mapping.misdirected": bool(own) and facts["volume.mapping_dangling"],
    }


def _agree(facts: dict[str, Any], *, twice: bool) -> bool:
    """Whether both sides name the same attachments, and cinder's status is what they make of it."""
    counts = ("mappings.dangling", "mappings.legacy", "attachments.stale", "attachments.unproven")
    if twice or any(facts[name] for name in counts):
        return False
    status, free = facts["volume.status"], not facts["attachments.live"] and not facts["mappings.live"]
    return not (free and status in ATTACH_STATES[:-1]) and not (facts["attachments.mapped"] and status == "available")


def _danger(case: VolumeCase, scene: Scene, dangling: list[Mapping]) -> str | None:
    """What a reboot would destroy (nova 28.0.0 and newer), None where nothing."""
    texts = [t for s in sorted({m.server_id for m in dangling}) if (t := _of_reboot(case.servers[s], scene))]
    for attachment in case.attachments:
        server = case.servers.get(attachment.server_id or "")
        if not dangling and server and standing_of(attachment, case, scene) == "connected without mapping":
            texts.append(
                f"do not reboot server {server.id}: on 2023.2 and newer that deletes cinder's attachment {attachment.id}"
                " while the guest may have the disk"
            )
    return "; ".join(texts) or None


def _of_reboot(server: Server, scene: Scene) -> str:
    """Every mapping of the server whose attachment cinder does not have goes at its next reboot."""
    if not server.answered:
        return ""
    live = {a.id for a in scene.cloud.attachments(server_id=server.id)}
    lost = [m for m in scene.cloud.mappings(server) if m.attachment_id and m.attachment_id not in live]
    if not lost:
        return ""
    names = list(dict.fromkeys(
        f"{m.volume_id} (its boot disk)" if m.root else m.volume_id for m in sorted(lost, key=lambda m: (not m.root, m.volume_id))
    ))
    more = f" and of {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"do not reboot server {server.id}: on 2023.2 and newer that destroys its mapping of {', '.join(names[:NAMED])}{more}"
