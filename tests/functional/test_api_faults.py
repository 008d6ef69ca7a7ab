"""Services and networks that fail: whatever they answer, no repair is wrong, and what is called repaired is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.functional.cloud import Lab, wait_until
from tests.functional.proxy import Fault, Proxy, Rule, acted, cut, other, proxying, short, silence, status

SERVICES = {"compute": "compute", "block-storage": "volumev3"}
BUSY = status(429, b"slow down", Retry_After="0")
#: What may befall a request that changes something: the fault, and whether the service has acted.
CHANGES: dict[str, tuple[Fault, bool]] = {
    "500": (status(500), False), "503": (status(503), False), "500 after it acted": (acted(status(500)), True),
    "silence": (silence, False), "silence after it acted": (acted(silence), True),
    "cut": (cut, False), "cut after it acted": (acted(cut), True), "cut in the answer": (short, True),
    "401 once": (status(401, b"{}"), False), "429": (BUSY, False),
}
READS: dict[str, Fault] = {
    "500": status(500), "503": status(503), "silence": silence, "cut": cut, "cut in the middle": short,
    "no JSON": other(b"<html>welcome</html>"), "another JSON": other(b"[]"), "nothing in it": other(b"{}"),
    "null": other(b"null"), "no body": other(b""),
}
RESET = r"POST /block-storage/.*/volumes/[^/]+/action"
FEW = ("500", "cut in the middle", "another JSON")
#: Every read without which a volume cannot be judged, and what befalls it.
JUDGING = {
    "the volume": (r"GET /block-storage/.*/volumes/[0-9a-f-]{36}", tuple(READS)),
    "its attachments": (r"GET /block-storage/.*/attachments", FEW),
    "nova's services": (r"GET /compute/.*/os-services", FEW),
    "cinder's services": (r"GET /block-storage/.*/os-services", FEW),
}


@pytest.fixture(scope="module")
def proxy(lab: Lab) -> Iterator[Proxy]:
    """A proxy in front of nova and cinder."""
    targets = {name: _endpoint(lab, name) for name in SERVICES}
    with proxying({name: re.sub(r"^(https?://[^/]+).*", r"\1", url) for name, url in targets.items()}) as running:
        yield running


def _endpoint(lab: Lab, service: str) -> str:
    return str(getattr(lab.api, service.replace("-", "_")).get_endpoint())


def _stuck(lab: Lab) -> str:
    """A volume that is detaching and that nobody uses."""
    volume = lab.api.block_storage.create_volume(name="fault", size=1, volume_type="cinder-01")
    wait_until(lambda: lab.api.block_storage.get_volume(volume.id).status == "available", 60, "available")
    lab.api.block_storage.reset_volume_status(volume.id, "detaching", "detached")
    return str(volume.id)


def _run(lab: Lab, proxy: Proxy, volume_id: str, *rules: Rule) -> Any:
    """opsfix through the proxy, with one attempt's patience."""
    proxy.rules[:], proxy.seen[:] = rules, []
    environ = {
        f"OS_{name.replace('-', '_').upper()}_ENDPOINT_OVERRIDE": re.sub(r"^https?://[^/]+", f"http://127.0.0.1:{proxy.port}/{name}", url)
        for name, url in ((n, _endpoint(lab, n)) for n in SERVICES)
    }
    return lab.unstick(volume_id, **environ, OPSFIX_TIMEOUT="3", OPSFIX_DEADLINE="6")


def _right(lab: Lab, ran: Any, volume_id: str) -> str:
    """One line on stderr at most, no traceback, and what is said is so; returns what was said."""
    assert "Traceback" not in ran.err
    now = lab.end_of(volume_id)["status"]
    assert now in ("detaching", "available")
    if not ran.out:
        assert (ran.code, now, len(ran.err.strip().splitlines())) == (7, "detaching", 1), ran
        return "stopped"
    outcome = ran.item(volume_id)["outcome"]
    assert outcome in ("repaired", "unknown", "failed"), ran.out
    assert (ran.code == 0) == (outcome == "repaired")
    assert (outcome == "repaired") <= (now == "available")
    return str(outcome)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_went_wrong_is_told_as_it_is(cloud: Lab, proxy: Proxy, name: str) -> None:
    fault, has_acted = CHANGES[name]
    volume_id = _stuck(cloud)

    outcome = _right(cloud, _run(cloud, proxy, volume_id, Rule(RESET, fault)), volume_id)

    assert any(re.search(RESET, line) for line in proxy.seen), "the proxy was not asked"
    if has_acted or name == "401 once":
        assert outcome == "repaired"
    if outcome != "repaired":
        assert _right(cloud, _run(cloud, proxy, volume_id), volume_id) == "repaired"


@pytest.mark.parametrize("read", JUDGING)
def test_what_cannot_be_read_is_never_repaired_on_a_guess(cloud: Lab, proxy: Proxy, read: str) -> None:
    pattern, faults = JUDGING[read]
    volume_id = _stuck(cloud)
    for name in faults:
        ran = _run(cloud, proxy, volume_id, Rule(pattern, READS[name], times=None))
        outcome = _right(cloud, ran, volume_id)
        assert any(re.search(pattern, line) for line in proxy.seen), "the proxy was not asked"
        assert outcome in ("stopped", "unknown"), (name, ran)
        assert not any(re.search(RESET, line) for line in proxy.seen), name
    assert _right(cloud, _run(cloud, proxy, volume_id), volume_id) == "repaired"
