"""Which consumers and providers are worth a look: placement's side and nova's side, each listed once and compared."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from opsfix.consumers import rows, uncounted
from opsfix.errors import GuardError
from opsfix.finders import every_server
from opsfix.resources import Provider, Server
from opsfix.scene import Scene

#: States in which nova has an allocation for a server.
HOLDING = ("active", "stopped", "paused", "suspended", "rescued")
#: nova's trait of what it made a provider for.
COMPUTE_NODE = "COMPUTE_NODE"
#: So many consumers, and such a part of all of them, that nova does not know: it is not nova's fault then.
MANY, PART = 20, 0.5


@dataclass
class Candidates:
    """``consumers`` are strange to nova, ``servers`` hold nothing, ``providers`` have no node or count what nobody holds,
    ``empty`` have a record and nothing else, ``unrecorded`` hold something without a record."""

    consumers: set[str] = field(default_factory=set)
    servers: set[str] = field(default_factory=set)
    providers: set[str] = field(default_factory=set)
    empty: set[str] = field(default_factory=set)
    unrecorded: set[str] = field(default_factory=set)

    @property
    def ids(self) -> set[str]:
        """All of them."""
        return self.consumers | self.servers | self.providers | self.empty | self.unrecorded


def candidates(scene: Scene, workers: int) -> Candidates:
    """Read every provider, what is held of it, every server and every node. Placement is read first: a server that is
    made meanwhile is then no orphan. Raises CloudUnknown when a listing is not complete, and GuardError where placement
    does not seem to be this nova's."""
    found = Candidates()
    providers = scene.cloud.placement.providers()
    held, found.providers = _held(scene, providers, workers)
    if scene.has("placement"):
        unseen = rows(scene, "read_allocations_unseen.placement", providers=[p.uuid for p in providers]) if providers else ()
        found.unrecorded = {str(r["consumer"]) for r in unseen or ()}
        found.empty = {str(r["consumer"]) for r in rows(scene, "read_consumers_empty.placement") or ()}
    found.consumers = set(held)
    for server in every_server(scene):
        if server.id in held:
            found.consumers.discard(server.id)
        elif rests(server) and server.id not in found.unrecorded:
            found.servers.add(server.id)
    found.providers |= set(_nodeless(scene, providers))
    if len(found.consumers) >= MANY and len(found.consumers) > PART * len(held):
        raise GuardError(
            f"{len(found.consumers)} of {len(held)} consumers are no servers of this nova: that is more than can be left"
            " over, so placement may serve another nova as well; look at some, and name those to be cleaned"
        )
    return found


def _held(scene: Scene, providers: list[Provider], workers: int) -> tuple[set[str], set[str]]:
    """Every consumer that placement lists, and, without its database, the providers that count more than is listed."""
    placement, counted = scene.cloud.placement, not scene.has("placement")

    def one(provider: Provider) -> tuple[set[str], bool]:
        held = placement.consumers(provider.uuid)
        return set(held), counted and bool(uncounted(placement.usages(provider.uuid), held))

    consumers: set[str] = set()
    strange: set[str] = set()
    with ThreadPoolExecutor(workers, thread_name_prefix="opsfix-placement") as pool:
        for provider, (held, hidden) in zip(providers, pool.map(one, providers), strict=True):
            consumers |= held
            if hidden:
                strange.add(provider.uuid)
    return consumers, strange


def rests(server: Server) -> bool:
    """Whether nova has an allocation for it, as far as the server alone tells."""
    return bool(server.host and server.node and server.task_state is None and server.vm_state in HOLDING)


def _nodeless(scene: Scene, providers: list[Provider]) -> Iterator[str]:
    """Roots that nova made and no live node has, or whose node has another name now."""
    ours = {p.uuid for p in scene.cloud.placement.providers(trait=COMPUTE_NODE)}
    roots = {p.uuid: p.name for p in providers if p.parent is None}
    known = rows(scene, "read_nodes_known.nova", nodes=list(roots)) if roots else ()
    if known is None:
        live = {h.uuid: h.name for h in scene.cloud.hosts.hypervisors()}
    else:
        live = {str(n["uuid"]): str(n["name"]) for n in known if not n["deleted"]}
        ours |= {str(n["uuid"]) for n in known}
    yield from (uuid for uuid, name in roots.items() if live.get(uuid) != name and uuid in ours | live.keys())
