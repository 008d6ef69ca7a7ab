"""Console tokens of a host that is gone."""

from __future__ import annotations

from tests.sql.cases import Case, Flip, nova
from tests.sql.cases.computes import HOST, OTHERS, STRANGE, UNREGISTERED, neighbours, registered
from tests.sql.cases.steps import named, without
from tests.sql.world import LONG_AGO, World


def token(w: World, name: str, host: str) -> None:
    w.add(name, "console_auth_tokens", host=host, console_type="novnc", expires=1709251198)


def seed(w: World) -> None:
    neighbours(w)
    nova.service(w, "removed service", HOST, LONG_AGO, deleted=9, deleted_at=LONG_AGO)
    for name in ("one", "two"):
        token(w, name, HOST)
        w.expect_gone(name)
    for host in OTHERS:
        token(w, f"token of {host}", host)
    w.params = {"host": HOST}


CASE = Case(
    file="compute_token_left.nova",
    tables=("services", "compute_nodes", "instances", "migrations", "console_auth_tokens"),
    seed=seed,
    variants={"a single one": without("two")},
    flips=(
        Flip("registered again", UNREGISTERED, registered),
        *(Flip(f"host {h!r}", None, named(host=h)) for h in STRANGE if h not in OTHERS),
        Flip("no token", None, without("one", "two")),
    ),
)
