"""Who has allocations from resource providers, and whether each is proven dead.

Source of the rules: placement's handlers; nova/scheduler/client/report.py (a cold migration's source is held by the
migration's uuid), nova/cmd/manage.py (placement audit), whose mistakes are not made again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from opsfix.guards import Unread
from opsfix.resources import Provider, Server
from opsfix.scene import Scene

#: What nova's own consumers are in placement (1.38); before, and for rows made before, there is no type.
OF_NOVA = (None, "INSTANCE", "MIGRATION", "unknown")
#: What a live server is to the one who asks.
Judge = Callable[[Server], str]


@dataclass(frozen=True)
class Consumer:
    """What has allocations from a provider. ``standing``: 'dead' (proven), 'elsewhere' (a live server of another host),
    or why it is not proven. ``seen``: placement's API lists it; ``provider`` is one that it holds."""

    id: str
    provider: str
    standing: str
    seen: bool = True


def rows(scene: Scene, file: str, *, cell: str | None = None, **params: Any) -> tuple[Mapping[str, Any], ...] | None:
    """The rows of a read file, None where its database is not configured."""
    if scene.databases is None or not scene.has(file.rsplit(".", 1)[1]):
        return None
    return tuple(scene.databases.read(file, params, cell=cell))


def below(root: Provider, tree: list[Provider]) -> list[Provider]:
    """The provider and all below it, parents first."""
    found = [root]
    for provider in found:
        found += [p for p in tree if p.parent == provider.uuid]
    return found


def read_consumers(
    scene: Scene, providers: tuple[Provider, ...], moving: Collection[str | None], judge: Judge
) -> tuple[tuple[Consumer, ...], int | None]:
    """Who has allocations from these providers, and how many amounts belong to consumers that the API does not list
    (None: they are named among the consumers, from placement's database). ``moving``: uuids of migrations that go on."""
    placement = scene.cloud.placement
    found: dict[str, Consumer] = {}
    hidden = 0
    for provider in providers:
        held = placement.consumers(provider.uuid)
        for consumer in [c for c in held if c not in found]:
            found[consumer] = Consumer(consumer, provider.uuid, standing(scene, consumer, moving, judge))
        hidden += uncounted(placement.usages(provider.uuid), held)
    unseen = rows(scene, "read_allocations_unseen.placement", providers=[p.uuid for p in providers]) if providers else ()
    if unseen is None:
        return tuple(found.values()), hidden
    more = [Consumer(r["consumer"], r["provider"], server_standing(scene, r["consumer"], moving, judge), seen=False) for r in unseen]
    return (*found.values(), *more), None


def uncounted(usages: Mapping[str, int], held: Mapping[str, Mapping[str, int]]) -> int:
    """Of how many resource classes more is in use than the listed consumers hold."""
    counted: dict[str, int] = {}
    for resources in held.values():
        for name, amount in resources.items():
            counted[name] = counted.get(name, 0) + amount
    return sum(amount > counted.get(name, 0) for name, amount in usages.items())


def standing(scene: Scene, consumer: str, moving: Collection[str | None], judge: Judge) -> str:
    """As nova and placement tell: only what was nova's own can be proven dead by nova's 404."""
    allocation = scene.cloud.placement.allocation(consumer)
    if allocation is not None and allocation.type not in OF_NOVA:
        return f"is no server but of type {allocation.type}"
    return server_standing(scene, consumer, moving, judge)


def server_standing(scene: Scene, consumer: str, moving: Collection[str | None], judge: Judge) -> str:
    """Dead is what nova answers 404 for (which covers builds that no host was found for), no cell has a live row of,
    and no unfinished migration is."""
    if consumer in moving:
        return "is a migration that is going on"
    server = scene.cloud.server(consumer)
    if server is not None:
        return judge(server)
    if rows(scene, "read_server_live.nova", server_id=consumer):
        return "is a server that only nova's database has"
    return "dead"


def some(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    listed = list(names)
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")


def facts_of(providers: tuple[Provider, ...], consumers: tuple[Consumer, ...], hidden: int | None) -> dict[str, Any]:
    """Providers, children first, and who has allocations from them, as facts."""
    dead = [c for c in consumers if c.standing == "dead"]
    elsewhere = [c for c in consumers if c.standing == "elsewhere"]
    unproven = [c for c in consumers if c not in dead and c not in elsewhere]
    unseen = next((c for c in dead if not c.seen), None)
    return {
        "providers.count": len(providers),
        "providers.ids": tuple(p.uuid for p in providers),
        "providers.names": some(p.name for p in reversed(providers)),
        "allocations.dead": sum(c.seen for c in dead),
        "allocations.dead_ids": tuple(c.id for c in dead if c.seen),
        "allocations.unproven": len(unproven),
        "allocations.unproven_names": some(f"{c.id} {c.standing}" for c in unproven),
        "allocations.elsewhere": len(elsewhere),
        "allocations.elsewhere_names": some(_unset(c) for c in elsewhere),
        "allocations.unseen": sum(not c.seen for c in dead) or hidden or 0,
        "unseen.provider": unseen.provider if unseen else None,
        "unseen.consumer": unseen.id if unseen else _unlisted(hidden),
    }


def _unset(consumer: Consumer) -> str:
    return f"openstack resource provider allocation unset --provider {consumer.provider} {consumer.id}"


def _unlisted(hidden: int | None) -> Unread | None:
    return Unread("only placement's database tells, and it is not configured") if hidden else None
