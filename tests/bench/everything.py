"""Lists all that doctor looks at over plain sessions: ``python -m tests.bench.everything [WORKERS]``

Volumes, attachments, servers, services, agents, ports, floating IPs, images, providers and their allocations, page by page,
five listings at a time, each once; nothing is compared. With WORKERS also what only the databases tell otherwise: the
hypervisors, and what each server maps, so many at a time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.bench.ladder import CINDER, NOVA, Raw, login


def main(workers: str = "") -> None:
    """Print how much was listed."""
    token, found = login()
    nova, cinder = Raw(token, found["compute"], NOVA), Raw(token, found["block-storage"], CINDER)
    neutron, glance, placement = (Raw(token, found[kind]) for kind in ("network", "image", "placement"))

    def allocations() -> int:
        providers = placement.get("/resource_providers")["resource_providers"]
        return sum(len(placement.get(f"/resource_providers/{p['uuid']}/allocations")["allocations"]) for p in providers)

    def rows() -> int:
        listed = [raw.get("/os-services")["services"] for raw in (nova, cinder)]
        return sum(map(len, listed)) + sum(len(neutron.get(f"/v2.0/{kind}")[kind]) for kind in ("agents", "ports", "floatingips"))

    def servers() -> int:
        ids = [s["id"] for s in nova.pages("/servers/detail", "servers", all_tenants="True")]
        if workers:
            sum(1 for _ in nova.pages("/os-hypervisors/detail", "hypervisors"))
            with ThreadPoolExecutor(int(workers)) as pool:
                list(pool.map(lambda i: nova.get(f"/servers/{i}/os-volume_attachments"), ids))
        return len(ids)

    work: tuple[Callable[[], int], ...] = (
        servers,
        lambda: sum(1 for _ in cinder.pages("/volumes/detail", "volumes", all_tenants="True")),
        lambda: sum(1 for _ in cinder.pages("/attachments", "attachments", all_tenants="True")),
        allocations,
        rows,
        lambda: len(glance.get("/v2/images")["images"]),
    )
    with ThreadPoolExecutor(5) as pool:
        print(json.dumps(list(pool.map(lambda do: do(), work))))


if __name__ == "__main__":
    main(*sys.argv[1:])
