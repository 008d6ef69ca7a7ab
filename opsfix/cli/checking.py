"""What ``opsfix config check`` tries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from opsfix import journal
from opsfix.config import SERVICE_FILES, Settings
from opsfix.errors import CloudRefused, CloudUnknown, DatabaseUnknown, OpsfixError
from opsfix.gateways.cloud import OpenStackCloud
from opsfix.gateways.database import Databases
from opsfix.gateways.opening import open_databases, prove_images, prove_live
from opsfix.secrets import masked


def checks(cloud: OpenStackCloud, settings: Settings) -> Iterator[dict[str, Any]]:
    """One row a thing: works, failed (with the reason), or not configured."""
    api = _tried("api", lambda: _api(cloud))
    yield api
    yield _tried("state_dir", lambda: _state(settings))
    for name in SERVICE_FILES:
        value = settings.databases.get(name)
        if value and value.origin.startswith("not readable"):
            yield {"name": f"databases.{name}", "result": "failed", "detail": value.origin}
        elif value and value.value is None:
            yield {"name": f"databases.{name}", "result": "not configured", "detail": value.origin}
        elif value is None:
            yield {"name": f"databases.{name}", "result": "not configured", "detail": "fallbacks that need it are refused"}
        elif name != "nova":
            yield _tried(f"databases.{name}", lambda name=name: _database(settings, name))  # type: ignore[misc]
    if settings.database("nova_api"):
        yield _tried("databases.nova", lambda: _cells(settings))
        if api["result"] == "works":
            yield _tried("same cloud", lambda: _same(cloud, settings))


def _tried(name: str, attempt: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"name": name, "result": "works", "detail": attempt()}
    except (OpsfixError, CloudRefused, CloudUnknown, DatabaseUnknown) as e:
        return {"name": name, "result": "failed", "detail": masked(str(e))}


def _api(cloud: OpenStackCloud) -> str:
    cloud.connect()
    return "; ".join(f"{service} up to {version}" for service, version in cloud.versions().items())


def _state(settings: Settings) -> str:
    root = journal.state_dir(settings["state_dir"])
    for path in (root, root / "runs"):
        if path.exists():
            journal.private(path)
    return f"{root}, {'writable by you alone' if root.exists() else 'which the first run makes'}"


def _opened(settings: Settings, *names: str) -> Databases:
    found = open_databases(settings, names)
    assert found is not None
    found.check()
    return found


def _database(settings: Settings, name: str) -> str:
    return ", ".join(str(d) for d in _opened(settings, name).every())


def _cells(settings: Settings) -> str:
    return "cells " + ", ".join(str(d.cell_name) for d in _opened(settings, "nova_api", "nova").cells.values())


def _same(cloud: OpenStackCloud, settings: Settings) -> str:
    computes, volumes = cloud.compute_services(), cloud.volume_services()
    prove_live(_opened(settings, "cinder", "nova_api", "nova"), computes, volumes)
    if settings.database("glance") and (newest := cloud.images.newest(10)):
        prove_images(_opened(settings, "glance"), newest)
    return "the databases are those behind the API"
