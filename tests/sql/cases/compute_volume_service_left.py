"""A service of cinder on a host that is gone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.sql.cases import Case, Flip, Step
from tests.sql.cases.cinder import volume
from tests.sql.cases.steps import meanwhile, named
from tests.sql.world import LONG_AGO, NOW, World

SERVICE, NO_VOLUME = "volume_service.id is not none", "volumes.count is 0"


def service(w: World, name: str, host: str, **values: Any) -> None:
    defaults = {"binary": "cinder-volume", "topic": "cinder-volume", "report_count": 41, "updated_at": LONG_AGO, "uuid": f"uuid-of-{name}"}
    w.add(name, "services", host=host, **defaults | values)


def seed(w: World) -> None:
    service(w, "service", "gpu-1@lvm")
    service(w, "second row", "gpu-1@lvm")
    service(w, "removed", "gpu-1@lvm", deleted=1, deleted_at=LONG_AGO)
    service(w, "other host", "gpu-10@lvm")
    service(w, "other case", "GPU-1@lvm")
    service(w, "other binary", "gpu-1@lvm", binary="cinder-backup")
    volume(w, "deleted volume", status="deleted", deleted=1, service_uuid="uuid-of-service", host="gpu-1@lvm#pool")
    volume(w, "other volume", status="available", service_uuid="uuid-of-other host", host="gpu-10@lvm#pool")
    row = w["service"]
    w.params = {
        "service_id": row["id"], "service_uuid": row["uuid"], "service_host": "gpu-1@lvm", "service_binary": "cinder-volume",
        "report_count": 41, "seen": LONG_AGO,
    }
    w.expect("service", deleted=1, deleted_at=NOW)


def of_other(name: str) -> Step:
    """The row that is named is another one."""
    return lambda w: w.params.update(service_id=w[name]["id"], service_uuid=w[name]["uuid"])


def never_reported(w: World) -> None:
    w.change("service", updated_at=None)
    w.params["seen"] = None


def without_uuid(w: World) -> None:
    w.change("deleted volume", service_uuid=None)
    w.change("service", uuid=None)
    w.params["service_uuid"] = None


CASE = Case(
    file="compute_volume_service_left.cinder",
    tables=("services", "volumes", "volume_types"),
    seed=seed,
    variants={"of old, without uuid": without_uuid, "never reported": never_reported, "disabled": meanwhile("service", disabled=1)},
    flips=(
        Flip("no service", SERVICE, named(service_id=None)),
        Flip("removed already", SERVICE, of_other("removed")),
        Flip("of another host", SERVICE, of_other("other host")),
        Flip("of a host of another case", SERVICE, of_other("other case")),
        Flip("of another binary", SERVICE, of_other("other binary")),
        *(Flip(f"host {h!r}", SERVICE, named(service_host=h)) for h in ("gpu-1", "gpu-1@lv_", "GPU-1@lvm", "", None)),
        Flip("uuid of another", SERVICE, named(service_uuid="uuid-of-other host")),
        Flip("uuid not read", SERVICE, named(service_uuid=None)),
        Flip("binary not read", SERVICE, named(service_binary=None)),
        Flip("reported since", SERVICE, meanwhile("service", report_count=42)),
        Flip("reported in the second row", SERVICE, meanwhile("service", updated_at=LONG_AGO + timedelta(seconds=1))),
        Flip("report was not read", SERVICE, named(seen=None)),
        Flip("owns a volume", NO_VOLUME, lambda w: volume(
            w, "volume", status="available", service_uuid="uuid-of-service", host="gpu-1@lvm#pool")),
    ),
)
