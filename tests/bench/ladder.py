"""Climbs the ladder over plain sessions, several servers at a time: ``python -m tests.bench.ladder WORKERS ID...``

The yardstick of ``instance recover``: reset, stop, start, each awaited as opsfix awaits it; no facts, no checks, no
journal. And of ``instance ips`` with no ids: the listings of servers and of ports, page by page.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

#: The first that lists the servers of a cell that is down.
NOVA = "compute 2.69"
#: The first that has attachments.
CINDER = "volume 3.27"
_own = threading.local()


def login() -> tuple[str, dict[str, str]]:
    """A token, and the address of each service."""
    e = os.environ
    user = {"name": e["OS_USERNAME"], "password": e["OS_PASSWORD"], "domain": {"name": "Default"}}
    body = {"auth": {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"name": e["OS_PROJECT_NAME"], "domain": {"name": "Default"}}},
    }}
    answer = requests.post(f"{e['OS_AUTH_URL']}/auth/tokens", json=body, timeout=60)
    found = {
        s["type"]: next(p["url"] for p in s["endpoints"] if p["interface"] == "public") for s in answer.json()["token"]["catalog"]
    }
    return answer.headers["X-Subject-Token"], found


class Raw:
    """A service's address and nothing else. ``version`` goes into OpenStack-API-Version; neutron and glance have none."""

    def __init__(self, token: str, url: str, version: str = ""):
        self._token, self._url = token, url
        self._headers = {"OpenStack-API-Version": version} if version else {}

    def _session(self) -> requests.Session:
        if not hasattr(_own, "session"):
            _own.session = requests.Session()
            _own.session.trust_env = False
            _own.session.headers["X-Auth-Token"] = self._token
        return _own.session

    def get(self, path: str, **query: Any) -> Any:
        """An answer's body."""
        answer = self._session().get(self._url + path, params=query, headers=self._headers, timeout=120)
        answer.raise_for_status()
        return answer.json()

    def act(self, server: str, **body: Any) -> None:
        """POST /servers/ID/action."""
        self._session().post(f"{self._url}/servers/{server}/action", json=body, timeout=120).raise_for_status()

    def until(self, server: str, state: str) -> None:
        """Poll until it is so, as steps.wait_for does."""
        pause = 0.1
        while True:
            shown = self.get(f"/servers/{server}")["server"]
            if shown["OS-EXT-STS:vm_state"] == state and shown["OS-EXT-STS:task_state"] is None:
                return
            time.sleep(pause)
            pause = min(pause * 1.6, 2.0)

    def pages(self, path: str, key: str, **query: Any) -> Iterator[Any]:
        """A listing."""
        while True:
            body = self.get(path, limit=1000, **query)
            yield from body[key]
            if not body[key] or f"{key}_links" not in body:
                return
            query["marker"] = body[key][-1]["id"]


def climb(nova: Raw, server: str) -> None:
    """Reset, stop, start."""
    nova.act(server, **{"os-resetState": {"state": "active"}})
    nova.until(server, "active")
    nova.act(server, **{"os-stop": None})
    nova.until(server, "stopped")
    nova.act(server, **{"os-start": None})
    nova.until(server, "active")


def main(workers: str, *ids: str) -> None:
    """Climb for each server; without any, list everything."""
    token, urls = login()
    nova = Raw(token, urls["compute"], NOVA)
    if ids:
        with ThreadPoolExecutor(int(workers)) as pool:
            list(pool.map(lambda i: climb(nova, i), ids))
        return
    neutron = Raw(token, f"{urls['network']}/v2.0")
    print(sum(1 for _ in nova.pages("/servers/detail", "servers", all_tenants="True")))
    print(sum(1 for _ in neutron.pages("/ports", "ports")))


if __name__ == "__main__":
    main(*sys.argv[1:])
