"""How servers are told to move, and where nova's words come from when one did not."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from opsfix.errors import CloudRefused, CloudUnknown
from opsfix.gateways.hosts import Hosts
from opsfix.gateways.moves import Moves
from tests.unit.test_power import answer

ACTIONS = answer(200, {"instanceActions": [{"request_id": "req-2"}, {"request_id": "req-1"}]})


class Compute:
    """Answers with what it was given, and keeps what it was asked."""

    def __init__(self, *answers: requests.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Any, ...]] = []

    def get(self, path: str, *, microversion: str, **given: Any) -> requests.Response:
        self.asked.append((path, microversion, *given.values()))
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def post(self, path: str, *, json: Any, microversion: str) -> requests.Response:
        return self.get(path, microversion=microversion, json=json)


@pytest.mark.parametrize(("call", "body"), [
    ("live_migrate", {"os-migrateLive": {"host": None, "block_migration": "auto"}}), ("migrate", {"migrate": None}),
    ("confirm", {"confirmResize": None}), ("evacuate", {"evacuate": {}}),
])
def test_each_call_is_sent_once_and_forces_nothing(call: str, body: Any) -> None:
    """Before 2.68 a host could be forced past the scheduler; from 2.95 on an evacuated server would stay off."""
    for told, error in ((answer(202), None), (answer(409), CloudRefused), (answer(503), CloudUnknown), (OSError("cut"), CloudUnknown)):
        compute = Compute(told)
        send = getattr(Moves(compute), call)
        if error is None:
            send("x")
        else:
            with pytest.raises(error):
                send("x")
        assert compute.asked == [("/servers/x/action", "2.68", body)]


def event(result: str, details: str | None = None) -> dict[str, Any]:
    return {"event": "e", "result": result, "details": details}


@pytest.mark.parametrize(("action", "words"), [
    ({"message": "Error", "events": [event("Success", "no"), event("Error", "No valid\n host.")]}, "No valid host."),
    ({"message": "Error", "events": [event("Error")]}, "Error"),
    ({"message": None, "events": []}, ""),
    ({"message": None, "events": None}, ""),
])
def test_the_words_are_those_of_the_last_action(action: dict[str, Any], words: str) -> None:
    compute = Compute(ACTIONS, answer(200, {"instanceAction": action}))
    assert Moves(compute).words("x") == words
    assert [path for path, *_ in compute.asked] == ["/servers/x/os-instance-actions", "/servers/x/os-instance-actions/req-2"]


@pytest.mark.parametrize("told", [(answer(404),), (answer(200, {"instanceActions": []}),), (ACTIONS, answer(404))])
def test_a_failure_to_tell_is_no_failure(told: tuple[requests.Response, ...]) -> None:
    assert Moves(Compute(*told)).words("x") == ""


def test_a_migration_tells_from_where_and_to_where() -> None:
    row = {
        "id": 1, "uuid": "u", "instance_uuid": "x", "status": "running", "migration_type": "evacuation", "source_compute": "gpu-1",
        "dest_compute": "gpu-2",
    }

    class Listing:
        def get(self, path: str, **_: Any) -> requests.Response:
            return answer(200, {"migrations": [row]} if path == "/os-migrations" else {})

    [found] = Hosts(Listing(), None).migrations_of("x")
    assert (found.type, found.source, found.dest) == ("evacuation", "gpu-1", "gpu-2")
