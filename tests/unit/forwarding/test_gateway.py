"""neutron's answers of every release, and what is sent to it."""

from __future__ import annotations

from typing import Any

import pytest

from opsfix.errors import CloudRefused, CloudUnknown
from opsfix.gateways.network import Network
from opsfix.resources import PortForwarding

YOGA = {
    "id": "a", "protocol": "tcp", "internal_port_id": "p", "internal_ip_address": "10.0.0.5", "internal_port": 22,
    "external_port": 60122,
}
ZED = {k: v for k, v in YOGA.items() if k not in ("external_port", "internal_port")} | {
    "external_port_range": "6000:6010", "internal_port_range": "22:22", "internal_port": 22, "description": "d",
}


class Answer:
    def __init__(self, body: Any, status: int = 200):
        self.body, self.status_code, self.content, self.headers = body, status, b"x", {"content-type": "application/json"}
        self.url, self.request, self.reason, self.text = "http://neutron", None, "", str(body)

    def json(self) -> Any:
        return self.body


class Proxy:
    """Answers with what a test gives it, and keeps what it was sent."""

    def __init__(self, *answers: Answer):
        self.answers, self.sent = list(answers), []  # type: ignore[var-annotated]

    def _take(self, path: str, **given: Any) -> Answer:
        self.sent.append((path, given))
        return self.answers.pop(0)

    get = post = delete = _take


def test_forwardings_of_every_release_are_read() -> None:
    found = Network(Proxy(Answer({"port_forwardings": [YOGA, ZED]}))).forwardings("f")
    assert found == [
        PortForwarding("a", "f", "tcp", (60122, 60122), (22, 22), "p", "10.0.0.5"),
        PortForwarding("a", "f", "tcp", (6000, 6010), (22, 22), "p", "10.0.0.5", "d"),
    ]


def test_pages_are_followed_to_the_end() -> None:
    more = [{"rel": "next", "href": "x"}]
    proxy = Proxy(
        Answer({"port_forwardings": [YOGA | {"id": "1"}], "port_forwardings_links": more}),
        Answer({"port_forwardings": [YOGA | {"id": "2"}], "port_forwardings_links": [{"rel": "previous", "href": "x"}]}),
    )
    assert [f.id for f in Network(proxy).forwardings("f")] == ["1", "2"]
    assert proxy.sent[1][1]["params"]["marker"] == "1"


def test_what_a_filter_let_through_is_left_out() -> None:
    listed = [YOGA, YOGA | {"protocol": "udp"}, YOGA | {"external_port": 1}]
    assert len(Network(Proxy(Answer({"port_forwardings": listed}))).forwardings("f", protocol="tcp", external=(60122, 60122))) == 1


@pytest.mark.parametrize(("external", "internal", "ports"), [
    ((80, 80), (8080, 8080), {"external_port": 80, "internal_port": 8080}),
    ((80, 81), (8080, 8081), {"external_port_range": "80:81", "internal_port_range": "8080:8081"}),
    ((80, 81), (8080, 8080), {"external_port_range": "80:81", "internal_port_range": "8080:8080"}),
])
def test_range_fields_are_sent_only_for_ranges(external: tuple[int, int], internal: tuple[int, int], ports: dict[str, Any]) -> None:
    proxy = Proxy(Answer({"port_forwarding": {"id": "made"}}, 201))
    assert Network(proxy).create_forwarding(PortForwarding("", "f", "udp", external, internal, "p", "10.0.0.5")) == "made"
    assert proxy.sent[0][1]["json"]["port_forwarding"] == ports | {
        "internal_port_id": "p", "internal_ip_address": "10.0.0.5", "protocol": "udp",
    }


@pytest.mark.parametrize(("status", "error"), [(400, CloudRefused), (409, CloudRefused), (404, CloudRefused), (500, CloudUnknown)])
def test_a_no_and_a_lost_answer_are_told_apart(status: int, error: type[Exception]) -> None:
    proxy = Proxy(Answer({"NeutronError": {"type": "T", "message": "There is a port collision", "detail": ""}}, status))
    with pytest.raises(error, match="port collision"):
        Network(proxy).delete_forwarding("f", "a")
    assert len(proxy.sent) == 1


def test_floating_ips_tell_their_targets_where_neutron_does() -> None:
    bare = {"id": "f", "floating_ip_address": "198.51.100.7", "floating_network_id": "n", "port_id": "", "router_id": None}
    found = list(Network(Proxy(Answer({"floatingips": [bare, bare | {"port_forwardings": [YOGA]}]}))).every_floating_ip())
    assert [f.target_ids for f in found] == [None, ("p",)]
    assert found[0].port_id is None


def test_a_router_without_gateway_leads_nowhere() -> None:
    assert Network(Proxy(Answer({"router": {"external_gateway_info": None}}))).gateway_network("r") is None
    assert Network(Proxy(Answer({}, 404))).gateway_network("r") is None
    assert Network(Proxy(Answer({"router": {"external_gateway_info": {"network_id": "n"}}}))).gateway_network("r") == "n"
