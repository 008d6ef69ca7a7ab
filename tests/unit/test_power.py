"""What nova answers when it is asked about a guest, and when it is asked to start or stop one."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from opsfix.errors import CloudRefused, CloudUnknown
from opsfix.gateways.hosts import Hosts
from opsfix.gateways.power import Power


def answer(status: int, body: Any = None) -> requests.Response:
    response = requests.Response()
    response.status_code, response.url = status, "http://nova/servers/x"
    response._content = json.dumps(body or {"error": {"message": "nova's words"}}).encode()
    response.headers["Content-Type"] = "application/json"
    return response


class Compute:
    """Answers with what it was given, and keeps what it was asked."""

    def __init__(self, *answers: requests.Response | Exception) -> None:
        self.answers, self.asked = list(answers), []  # type: ignore[var-annotated]

    def get(self, path: str, **query: Any) -> requests.Response:
        self.asked.append((path, dict(query.get("params") or {})))
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def post(self, path: str, json: Any) -> requests.Response:
        return self.get(path, params=json)


@pytest.mark.parametrize(("told", "runs"), [
    (answer(200, {"cpu0_time": 1}), True), (answer(409), False), (answer(404), None), (answer(400), None), (answer(501), None),
    (answer(500), None), (answer(504), None), (requests.ConnectionError("gone"), None),
])
def test_only_a_no_is_a_no(told: Any, runs: bool | None) -> None:
    compute = Compute(told)
    assert Power(compute).runs("x") is runs
    assert len(compute.asked) == 1


@pytest.mark.parametrize(("call", "body"), [
    ("stop", {"os-stop": None}), ("start", {"os-start": None}), ("reboot_hard", {"reboot": {"type": "HARD"}}),
    ("restore", {"restore": None}),
])
def test_each_call_is_sent_once(call: str, body: Any) -> None:
    for told, error in ((answer(202), None), (answer(409), CloudRefused), (answer(503), CloudUnknown), (OSError("cut"), CloudUnknown)):
        compute = Compute(told)
        send = getattr(Power(compute), call)
        if error is None:
            send("x")
        else:
            with pytest.raises(error):
                send("x")
        assert compute.asked == [("/servers/x/action", body)]


def test_the_migrations_of_a_server_are_paged_by_uuid() -> None:
    def row(n: int, status: str) -> dict[str, Any]:
        return {"id": n, "uuid": f"uuid-{n}", "instance_uuid": "x", "status": status, "source_compute": "a", "dest_compute": "b"}

    compute = Compute(
        answer(200, {"migrations": [row(1, "finished")], "migrations_links": [{"rel": "next", "href": "more"}]}),
        answer(200, {"migrations": [row(2, "error")]}),
    )
    found = Hosts(compute, None).migrations_of("x")
    assert [(m.id, m.status, m.uuid, m.in_progress) for m in found] == [(1, "finished", "uuid-1", True), (2, "error", "uuid-2", False)]
    assert [(q["instance_uuid"], q.get("marker")) for _, q in compute.asked] == [("x", None), ("x", "uuid-1")]
