"""The service of a host whose name another cell has as well."""

from __future__ import annotations

from tests.sql.cases import Case, Flip, Step, nova
from tests.sql.cases.computes import FLIPS, HOST, STRANGE, neighbours, node
from tests.sql.cases.steps import meanwhile, named, of_row
from tests.sql.world import LONG_AGO, NOW, World

SERVICE = "service.uuid is not none"


def seed(w: World) -> None:
    neighbours(w)
    nova.service(w, "service", HOST, LONG_AGO, report_count=41, uuid="uuid-of-the-service")
    nova.service(w, "removed service", HOST, LONG_AGO, deleted=9, deleted_at=LONG_AGO, report_count=41, uuid="uuid-of-the-old")
    node(w, "node", HOST)
    row = w["service"]
    w.params = {"service_id": row["id"], "service_uuid": row["uuid"], "report_count": 41, "host": HOST}
    w.expect("service", deleted=row["id"], deleted_at=NOW)


def of_other(name: str, host: str = HOST) -> Step:
    """All parameters are those of another row."""

    def step(w: World) -> None:
        row = w[name]
        w.params = {
            "service_id": row["id"], "service_uuid": row["uuid"], "report_count": row["report_count"], "host": host,
        }

    return step


CASE = Case(
    file="compute_service_twin.nova",
    tables=("services", "compute_nodes", "instances", "migrations"),
    seed=seed,
    variants={"forced down": meanwhile("service", forced_down=1, disabled=1)},
    flips=(
        *FLIPS,
        Flip("no service", SERVICE, named(service_id=None)),
        Flip("no uuid", SERVICE, named(service_uuid=None)),
        Flip("another service", SERVICE, of_row("service_id", "service of gpu-10")),
        Flip("another service's uuid", SERVICE, of_row("service_uuid", "service of gpu-10", "uuid")),
        Flip("the service of gpu-10", SERVICE, of_other("service of gpu-10")),
        Flip("a conductor", SERVICE, of_other("conductor")),
        Flip("a removed service", SERVICE, of_other("removed service")),
        *(Flip(f"host {h!r}", SERVICE, named(host=h)) for h in STRANGE),
        Flip("renamed", SERVICE, meanwhile("service", host="GPU-1", topic="other")),
        Flip("reported since", None, meanwhile("service", report_count=42)),
        Flip("reports were not read", None, named(report_count=None)),
    ),
)
