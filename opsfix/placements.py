"""What placement counts, as the engine's subject: consumers with what they hold, and providers with who holds of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from opsfix.consumers import Judge, below, facts_of, read_consumers, rows, some, standing, uncounted
from opsfix.errors import CloudRefused, CloudUnknown, DatabaseUnknown
from opsfix.guards import Unread
from opsfix.placement_find import COMPUTE_NODE, Candidates, candidates, rests
from opsfix.resources import Allocation, Migration, Provider, Server
from opsfix.scene import Scene
from opsfix.sightings import Sightings
from opsfix.subject import Look

#: Seconds between two looks at whatever may be in flight: nova ends a server before it gives its allocation back.
PERIOD = 5.0
#: Requests in flight while candidates are looked at the first time.
WORKERS = 8
#: nova/objects/fields.py and os_resource_classes: what a server's flavor and ports ask for. Others have their own names.
OF_SERVERS = ("VCPU", "PCPU", "MEMORY_MB", "DISK_GB", "VGPU", "VGPU_DISPLAY_HEAD", "PCI_DEVICE", "SRIOV_NET_VF", "MEM_ENCRYPTION_CONTEXT")
OF_NOVA_TOO = ("CUSTOM_", "NET_", "PCI_")
#: Types of services which hold resources of nova's classes for something else than servers (zun, blazar).
OTHERS = ("container", "reservation")
NO_NOVA = "only nova's database tells, and it is not configured"


class Placements:
    """See subject.Subject. An id is a provider's uuid, else a consumer's; only providers have names. ``period`` in
    seconds lies between the two looks at what may be in flight."""

    type = "placement"

    def __init__(self, period: float = PERIOD):
        self._sightings = Sightings(self.type, period)
        self._listed: tuple[float, dict[str, Migration]] | None = None
        self._listing = threading.Lock()

    def look(self, scene: Scene, subject_id: str) -> Look | None:
        """See subject.Subject. What may be in flight is looked at twice, a period apart. Raises CloudUnknown."""
        facts = self._sightings.twice(subject_id, lambda after: self._facts(scene, subject_id, after), scene.stop)
        if facts is None:
            return None
        name = facts["provider.name"] if facts["placement.kind"] == "provider" else facts["server.name"]
        told = facts["placement.told"]
        return Look(subject_id, name or "", facts["placement.project"], facts, told, told)

    def named(self, scene: Scene, name: str) -> list[tuple[str, str]]:
        """See subject.Subject."""
        return [(p.uuid, "") for p in scene.cloud.placement.providers(name=name) if p.name == name]

    def gone(self, subject_id: str) -> Mapping[str, Any]:
        """See subject.Subject."""
        return {"placement.id": subject_id, "consumer.held": False, "consumer.empty": False, "providers.count": 0,
                "allocations.unseen": 0, "allocations.dead": 0}  # fmt: skip

    def find(self, scene: Scene) -> set[str]:
        """Ids of what may be wrong, each looked at a first time. Raises CloudUnknown, GuardError."""
        found = self.candidates(scene)
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="opsfix-placement") as pool:
            list(pool.map(lambda i: self._sight(scene, i), sorted(found.ids)))
        return found.ids

    def candidates(self, scene: Scene) -> Candidates:
        """What the listings show to be worth a look."""
        return candidates(scene, WORKERS)

    def _sight(self, scene: Scene, subject_id: str) -> None:
        """A first look; one that fails is told by the next."""
        with suppress(CloudUnknown, CloudRefused, DatabaseUnknown):
            self._sightings.once(subject_id, lambda after: self._facts(scene, subject_id, after))

    def _moving(self, scene: Scene, consumers: Iterable[str], after: float) -> set[str | None]:
        """Which of the consumers are migrations that go on: by the cells, else by a listing begun after that moment."""
        asked = list(consumers)
        found = rows(scene, "read_migrations_named.nova", consumers=asked) if asked else ()
        if found is not None:
            listed = [Migration(r["id"], r["instance_uuid"], str(r["status"]), r["migration_type"], str(r["uuid"])) for r in found]
            return {m.uuid for m in listed if m.in_progress}
        with self._listing:
            if self._listed is None or self._listed[0] < after:
                began = time.monotonic()
                self._listed = (began, {m.uuid: m for m in scene.cloud.hosts.migrations() if m.uuid})
            return {uuid for uuid, m in self._listed[1].items() if m.in_progress}

    def _facts(self, scene: Scene, subject_id: str, after: float) -> dict[str, Any] | None:
        scene.require_cells()
        tree = scene.cloud.placement.providers(tree=subject_id)
        provider = next((p for p in tree if p.uuid == subject_id), None)
        facts = self._provider_facts(scene, provider, tree, after) if provider else self._consumer_facts(scene, subject_id, after)
        return facts and {"placement.id": subject_id, "placement.still": True, "placement.idle": True, "placement.project": ""} | facts

    # consumers

    def _consumer_facts(self, scene: Scene, consumer: str, after: float) -> dict[str, Any] | None:
        held = scene.cloud.placement.allocation(consumer)
        kept = rows(scene, "read_consumer.placement", consumer_id=consumer) or ()
        unseen = rows(scene, "read_consumer_unseen.placement", consumer_id=consumer) or ()
        server = scene.cloud.server(consumer)
        known = any((held, kept, unseen, server))
        if not known and consumer not in self._sightings:
            return None
        told = standing(scene, consumer, self._moving(scene, [consumer], after), _as_server)
        row = kept[0] if kept else None
        changed = (row["updated_at"] or row["created_at"]) if row else None
        dead = told == "dead"
        facts = {
            "placement.kind": "consumer",
            "placement.changed_at": f"{changed} UTC" if changed else None,
            "placement.idle": _idle(scene, changed) if held and dead else True,
            "placement.project": (held.project_id if held else server.project_id if server else None) or "",
            "server.name": server.name if server else "",
            "consumer.standing": told,
            "consumer.held": held is not None,
            "consumer.type": held.type if held else None,
            "consumer.holds": _amounts(held),
            "consumer.foreign": ", ".join(_foreign(held)) or "none",
            "consumer.others": _others(scene) if held and dead and held.type not in ("INSTANCE", "MIGRATION") else "none",
            "consumer.empty": row is not None and held is None and not unseen,
            "consumer.generation": row["generation"] if row else held.generation if held else None,
            "consumer.settled": bool(row and row["settled"]),
            "server.allocation": _missing(scene, server, held, bool(unseen)),
            "allocations.unseen": len(unseen),
            "allocations.unproven": 0 if dead or not unseen else 1,
            "allocations.unproven_names": f"{consumer} {told}",
            "unseen.provider": unseen[0]["provider"] if unseen else None,
            "unseen.consumer": consumer if unseen else None,
            "provider.left": False,
            "provider.renamed": False,
            "providers.count": 0,
            "allocations.dead": int(dead and held is not None),
            "allocations.dead_ids": (consumer,) if dead and held else (),
        }
        return facts | {"placement.mark": _mark(facts), "placement.told": _told(facts, server)}

    # providers

    def _provider_facts(self, scene: Scene, provider: Provider, tree: list[Provider], after: float) -> dict[str, Any]:
        placement = scene.cloud.placement
        own = tuple(reversed(below(provider, tree)))
        named, node = _nodes(scene, provider)
        ours = any(p.uuid == provider.uuid for p in placement.providers(tree=provider.uuid, trait=COMPUTE_NODE))
        root = provider.parent is None
        ends = root and node != "live" and not isinstance(node, Unread) and (ours or node == "removed")
        held = [c for p in own for c in placement.consumers(p.uuid)] if ends else []
        moving = self._moving(scene, held, after) if held else set()
        consumers, hidden = read_consumers(scene, own, moving, _beside(provider)) if ends else _unseen_only(scene, own)
        facts = facts_of(own, consumers, hidden)
        facts |= {
            "placement.kind": "provider",
            "placement.changed_at": None,
            "provider.name": provider.name,
            "provider.generation": provider.generation,
            "provider.root": root,
            "provider.nova": ours,
            "provider.node": node,
            "provider.node_name": named,
            "provider.left": ends or (root and ours and isinstance(node, Unread)),
            "provider.renamed": node == "live" and root and named not in (None, provider.name),
            "consumer.held": False,
            "consumer.standing": "none",
            "consumer.empty": False,
            "consumer.others": _others(scene) if facts["allocations.dead"] else "none",
            "server.allocation": "none is due",
        }
        mark = (facts["providers.ids"], provider.generation) if ends else None
        return facts | {"placement.mark": mark, "placement.told": _told_of_provider(facts)}


def _others(scene: Scene) -> str:
    """Services of the catalogue that use placement for themselves."""
    return ", ".join(sorted(scene.cloud.catalogue() & set(OTHERS))) or "none"


def _as_server(server: Server) -> str:
    return f"is server {server.name}" if server.answered else "is a server whose cell is down"


def _beside(provider: Provider) -> Judge:
    """What a live server is to a provider whose node is gone."""

    def judge(server: Server) -> str:
        if not server.answered:
            return "is a server whose cell is down"
        if server.host is None or server.node in (None, provider.name):
            return f"is server {server.name}, which runs under that name or is on its way to a host"
        return "elsewhere"

    return judge


def _idle(scene: Scene, changed: datetime | None) -> bool:
    return scene.idle(changed.replace(tzinfo=UTC) if changed else None)


def _amounts(held: Allocation | None) -> str:
    total: dict[str, int] = {}
    for resources in (held.resources if held else {}).values():
        for name, amount in resources.items():
            total[name] = total.get(name, 0) + amount
    return ", ".join(f"{amount} {name}" for name, amount in sorted(total.items()))


def _foreign(held: Allocation | None) -> list[str]:
    """Resource classes that no server asks for."""
    names = {name for resources in (held.resources if held else {}).values() for name in resources}
    return sorted(n for n in names if n not in OF_SERVERS and not n.startswith(OF_NOVA_TOO))


def _missing(scene: Scene, server: Server | None, held: Allocation | None, unseen: bool) -> str:
    """'missing' for a live server that rests on a host and holds nothing; only then its migrations are asked for."""
    if server is None or not server.answered:
        return "none is due"
    if held is not None or unseen:
        return "held"
    if not rests(server) or any(m.in_progress for m in scene.cloud.migrations(server.id)):
        return "none is due"
    return "missing"


def _mark(facts: Mapping[str, Any]) -> Any:
    """What must be the same at the second look; None where nothing can be in flight."""
    dead = facts["consumer.standing"] == "dead"
    if facts["consumer.held"] and dead:
        return ("orphaned", facts["consumer.generation"])
    if facts["server.allocation"] == "missing":
        return ("missing",)
    if dead and (facts["consumer.empty"] or facts["allocations.unseen"]):
        return ("left", facts["consumer.generation"])
    return None


def _told(facts: Mapping[str, Any], server: Server | None) -> str:
    """What an operator would call it now."""
    if server is not None and facts["server.allocation"] != "missing":
        host = f" on {server.host}" if server.host else ""
        return f"it is server {server.name}{host}, {server.vm_state}, which holds {facts['consumer.holds'] or 'nothing, as is due'}"
    if facts["consumer.standing"] == "dead":
        return "nothing is allocated to it" if not facts["consumer.held"] else "nova does not have it"
    return f"it {facts['consumer.standing']}"


def _nodes(scene: Scene, provider: Provider) -> tuple[str | None, str | Unread]:
    """The name of nova's node of this provider, and the node's state: 'live', 'removed', or 'none' that anybody knows of."""
    known = rows(scene, "read_nodes_known.nova", nodes=[provider.uuid])
    if known is None:
        shown = next((h for h in scene.cloud.hosts.hypervisors() if h.uuid == provider.uuid), None)
        return (shown.name, "live") if shown else (None, Unread(NO_NOVA))
    live = next((n for n in known if not n["deleted"]), None)
    if live:
        return str(live["name"]), "live"
    return (str(known[0]["name"]), "removed") if known else (None, "none")


def _unseen_only(scene: Scene, providers: tuple[Provider, ...]) -> tuple[tuple[Any, ...], int | None]:
    """Of a provider that stays, only what placement counts and does not list; the database names it consumer by consumer."""
    if scene.has("placement"):
        return (), None
    placement = scene.cloud.placement
    return (), sum(uncounted(placement.usages(p.uuid), placement.consumers(p.uuid)) for p in providers)


def _told_of_provider(facts: Mapping[str, Any]) -> str:
    if not facts["provider.root"]:
        return f"it is below another provider ({some([facts['provider.name']])}), and goes with that"
    if facts["provider.node"] == "live":
        return f"node {facts['provider.node_name']} of nova has it"
    return "nova did not make it" if not facts["provider.nova"] else "nova has no node of it"
