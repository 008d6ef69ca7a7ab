"""Allocations of a consumer that placement has no record of."""

from __future__ import annotations

from tests.sql.cases import Case, Flip
from tests.sql.cases.steps import named
from tests.sql.world import World

UNSEEN = "unseen.consumer is not none"


def provider(w: World, name: str) -> None:
    w.add(name, "resource_providers", uuid=f"uuid-of-{name}", name=name, generation=7)


def consumer(w: World, name: str) -> None:
    w.add(name, "consumers", uuid=name, generation=1)


def allocation(w: World, name: str, consumer_id: str, of: str, kind: int) -> None:
    w.add(name, "allocations", resource_provider_id=w[of]["id"], consumer_id=consumer_id, resource_class_id=kind, used=4)


def seed(w: World) -> None:
    provider(w, "gpu-1")
    provider(w, "gpu-10")
    consumer(w, "seen")
    for kind in (0, 1):
        allocation(w, f"unseen {kind}", "unseen", "gpu-1", kind)
        allocation(w, f"seen {kind}", "seen", "gpu-1", kind)
        w.expect_gone(f"unseen {kind}")
    allocation(w, "of another provider", "unseen", "gpu-10", 0)
    allocation(w, "of another consumer", "unseen too", "gpu-1", 0)
    w.params = {"provider_id": "uuid-of-gpu-1", "consumer_id": "unseen"}


def one_class(w: World) -> None:
    w.remove("unseen 1")
    w.expect_untouched("unseen 1")


CASE = Case(
    file="compute_allocation_left.placement",
    tables=("resource_providers", "allocations", "consumers"),
    seed=seed,
    variants={"a single class": one_class},
    flips=(
        Flip("no consumer", UNSEEN, named(consumer_id=None)),
        Flip("a consumer that placement has", UNSEEN, named(consumer_id="seen")),
        Flip("recorded since", UNSEEN, lambda w: consumer(w, "unseen")),
        Flip("another provider", None, named(provider_id="uuid-of-gpu-2")),
        Flip("no provider", None, named(provider_id=None)),
        Flip("gone already", None, lambda w: (w.remove("unseen 0"), w.remove("unseen 1"))),
    ),
)
