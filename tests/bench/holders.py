"""Lists agents and what they hold over plain sessions: ``python -m tests.bench.holders``

The yardstick of ``agent list`` without databases: nova's and cinder's services, neutron's agents, hypervisors with their
servers and all volumes, page by page, three listings at a time; nothing is put together.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.bench.ladder import CINDER, NOVA, Raw, login


def main() -> None:
    """Print how much was listed."""
    token, found = login()
    nova, cinder = Raw(token, found["compute"], NOVA), Raw(token, found["block-storage"], CINDER)
    neutron = Raw(token, found["network"])

    def rows() -> int:
        agents = neutron.get("/v2.0/agents")["agents"]
        return sum(len(raw.get("/os-services")["services"]) for raw in (nova, cinder)) + len(agents)

    def servers() -> int:
        listed = nova.pages("/os-hypervisors/detail", "hypervisors", with_servers="true")
        return sum(len(h.get("servers") or ()) for h in listed)

    def volumes() -> int:
        return sum(1 for _ in cinder.pages("/volumes/detail", "volumes", all_tenants="True"))

    work: tuple[Callable[[], int], ...] = (rows, servers, volumes)
    with ThreadPoolExecutor(len(work)) as pool:
        print(json.dumps(list(pool.map(lambda do: do(), work))))


if __name__ == "__main__":
    main()
