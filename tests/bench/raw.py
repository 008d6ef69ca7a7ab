"""Sends given requests over plain sessions, several subjects at a time: ``python -m tests.bench.raw FILE``.

The yardstick: no client library, no facts, no journal. Prints how many requests it sent and how many were refused.
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

_own = threading.local()


def _session() -> requests.Session:
    if not hasattr(_own, "session"):
        _own.session = requests.Session()
        _own.session.trust_env = False
    return _own.session


def _send(request: dict[str, Any], token: str, old: str = "", new: str = "") -> requests.Response:
    headers = {k: v for k, v in request["headers"].items() if k.lower() != "x-auth-token"}
    if token:
        headers["X-Auth-Token"] = token
    return _session().request(
        request["method"], request["url"].replace(old, new) if old else request["url"], headers=headers,
        data=request["body"].encode() or None, timeout=120,
    )


def main(file: str) -> None:
    """Log in and list as recorded, then send each subject's sequence in its order."""
    plan = json.loads(Path(file).read_text())
    answers = []
    token = ""
    for request in plan["once"]:
        answers.append(_send(request, token))
        token = answers[-1].headers.get("X-Subject-Token", token)

    def repair(subject: Any) -> list[int]:
        if isinstance(subject, list):  # its own requests, for they differ in more than an id
            found = [_send(r, token) for r in subject]
        else:
            found = [_send(r, token, plan["recorded"], subject) for r in plan["each"]]
        for answer in found:
            if answer.content and answer.request.method == "GET":
                answer.json()
        return [a.status_code for a in found]

    with ThreadPoolExecutor(plan["workers"]) as pool:
        codes = [c for found in pool.map(repair, plan["subjects"]) for c in found]
    refused = sum(c >= 400 for c in codes)
    print(json.dumps({"sent": len(answers) + len(codes), "refused": refused}))


if __name__ == "__main__":
    main(sys.argv[1])
