"""The record of a consumer that holds nothing."""

from __future__ import annotations

from datetime import timedelta

from tests.sql.cases import Case, Flip
from tests.sql.cases.compute_allocation_left import allocation, provider
from tests.sql.cases.steps import meanwhile, named
from tests.sql.world import LONG_AGO, World

HELD = "consumer.held is False"
SETTLED = "consumer.settled is True"


def seed(w: World) -> None:
    provider(w, "gpu-1")
    for name in ("empty", "beside", "holding"):
        w.add(name, "consumers", uuid=name, generation=3, created_at=LONG_AGO, updated_at=LONG_AGO)
    allocation(w, "of another", "holding", "gpu-1", 0)
    w.expect_gone("empty")
    w.params = {"consumer_id": "empty", "generation": 3}


def ago(minutes: int, column: str = "updated_at") -> Flip:
    """It changed so long ago by the server's clock."""

    def step(w: World) -> None:
        w.change("empty", **{column: w.utc() - timedelta(minutes=minutes)})

    return Flip(f"{column} {minutes} minutes ago", SETTLED, step)


CASE = Case(
    file="placement_consumer_empty.placement",
    tables=("resource_providers", "allocations", "consumers"),
    seed=seed,
    variants={
        "never changed": lambda w: w.change("empty", updated_at=None),
        "an hour old": lambda w: w.change("empty", updated_at=w.utc() - timedelta(minutes=61)),
    },
    flips=(
        Flip("it holds something since", HELD, lambda w: allocation(w, "new", "empty", "gpu-1", 0)),
        Flip("another consumer that holds something", HELD, named(consumer_id="holding")),
        ago(59),
        Flip("made just now", SETTLED, lambda w: w.change("empty", updated_at=None, created_at=w.utc())),
        Flip("of no known time", SETTLED, meanwhile("empty", updated_at=None, created_at=None)),
        Flip("of another generation", None, meanwhile("empty", generation=4)),
        Flip("no generation", None, named(generation=None)),
        Flip("no consumer", None, named(consumer_id=None)),
        Flip("gone already", None, lambda w: w.remove("empty")),
    ),
)
