"""Rows that the cases of cinder's counts share."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.sql.cases import Flip, Step
from tests.sql.world import LONG_AGO, World

TABLES = ("quota_usages", "reservations", "volumes", "snapshots", "backups", "groups", "volume_types")
PROJECT, OTHER = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
#: Whatever changed later is too young.
SINCE = datetime(2025, 1, 1)  # noqa: DTZ001 - the services store naive UTC
LIVE = "reservations.live is 0"
EXPIRED = "reservations.expired is 0"


def usage(w: World, name: str, resource: str, in_use: int, reserved: int = 0, **values: Any) -> int:
    """A count of the project; its id."""
    defaults = {"project_id": PROJECT, "race_preventer": 1, "updated_at": LONG_AGO}
    return int(w.add(name, "quota_usages", resource=resource, in_use=in_use, reserved=reserved, **defaults | values)["id"])


def reservation(w: World, name: str, seconds: int | None, **values: Any) -> None:
    """A reservation of the project that ends in so many seconds, None: never."""
    expire = None if seconds is None else w.utc() + timedelta(seconds=seconds)
    defaults = {"project_id": PROJECT, "resource": "volumes", "delta": 1, "uuid": name, "created_at": LONG_AGO}
    w.add(name, "reservations", expire=expire, **defaults | values)


def reserved(seconds: int | None, **values: Any) -> Step:
    """A reservation is there."""
    return lambda w: reservation(w, "new", seconds, **values)


def volume(w: World, name: str, of_type: str = "", size: int = 10, **values: Any) -> str:
    """A volume that counts; its id."""
    defaults = {"project_id": PROJECT, "status": "available", "use_quota": 1, "updated_at": LONG_AGO}
    kind = w[of_type]["id"] if of_type else "none"
    return str(w.add(name, "volumes", id=name, size=size, volume_type_id=kind, **defaults | values)["id"])


def snapshot(w: World, name: str, of: str, size: int = 10, **values: Any) -> None:
    """A snapshot that counts."""
    defaults = {"project_id": PROJECT, "status": "available", "use_quota": 1, "updated_at": LONG_AGO, "volume_type_id": "none"}
    w.add(name, "snapshots", id=name, volume_id=of, volume_size=size, **defaults | values)


def backup(w: World, name: str, size: int, **values: Any) -> None:
    """A backup."""
    defaults = {"project_id": PROJECT, "status": "available", "updated_at": LONG_AGO}
    w.add(name, "backups", id=name, volume_id="any", size=size, **defaults | values)


def resources(w: World) -> None:
    """Each number of things and each sum of GiB differs, whatever is left out or added: three volumes and two snapshots of the
    type fast, one each of another, and what does not count or is another project's."""
    w.add("fast", "volume_types", id="type-fast", name="fast")
    w.add("slow", "volume_types", id="type-slow", name="slow")
    w.add("removed fast", "volume_types", id="type-removed", name="fast", deleted=1)
    w.add("loud", "volume_types", id="type-loud", name="FAST")
    for number, size in enumerate((1, 2, 4)):
        volume(w, f"v{number}", "fast", size)
    volume(w, "slow one", "slow", 8)
    volume(w, "loud one", "loud", 16)
    volume(w, "of a removed type", "removed fast", 32)
    volume(w, "deleted", "fast", 64, deleted=1)
    volume(w, "temporary", "fast", 128, use_quota=0)
    volume(w, "another's", "fast", 256, project_id=OTHER)
    for number, size in enumerate((512, 1024)):
        snapshot(w, f"s{number}", "v0", size)
    snapshot(w, "slow snapshot", "slow one", 2048)
    snapshot(w, "loud snapshot", "loud one", 4096)
    snapshot(w, "snapshot of a removed type", "of a removed type", 8192)
    snapshot(w, "deleted snapshot", "v0", 16384, deleted=1)
    snapshot(w, "temporary snapshot", "v0", 32768, use_quota=0)
    snapshot(w, "another's snapshot", "v0", 65536, project_id=OTHER)
    for name, values in (
        ("backup", {}), ("old backup", {}), ("deleted backup", {"deleted": 1}), ("another's backup", {"project_id": OTHER}),
    ):
        backup(w, name, 3, **values)
    for name, values in (("group", {}), ("deleted group", {"deleted": 1}), ("another's group", {"project_id": OTHER})):
        w.add(name, "groups", id=name, **{"project_id": PROJECT, "status": "available"} | values)


#: What there is of the project by these rows: kind and type -> count.
TRUE = {
    ("volumes", None): 6, ("volumes", "fast"): 3, ("volumes", "FAST"): 1, ("volumes", "gone"): 0,
    ("gigabytes", None): 63 + 15872, ("gigabytes", "fast"): 7 + 1536, ("gigabytes", "gone"): 0,
    ("snapshots", None): 5, ("snapshots", "fast"): 2, ("snapshots", "gone"): 0,
    ("backups", None): 2, ("backup_gigabytes", None): 6, ("groups", None): 1,
}


def counts(w: World) -> None:
    """Counts beside the one that is wrong, and reservations that are over."""
    usage(w, "healthy", "per_volume_gigabytes", 7)
    usage(w, "another's", "volumes", 99, project_id=OTHER, race_preventer=None)
    usage(w, "removed", "volumes", 98, deleted=1, race_preventer=None)
    reservation(w, "over", 60, deleted=1)
    reservation(w, "another's reservation", 60, project_id=OTHER)


#: What every change of a count must refuse.
FLIPS = (
    Flip("a reservation", LIVE, reserved(60)),
    Flip("a reservation without an end", LIVE, reserved(None)),
    Flip("an expired reservation", EXPIRED, reserved(-60)),
)
