"""What is refused before anything is sent, and what a run leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from opsfix.cli.forwarding import UNTOUCHED, _carried_out
from opsfix.engine.plan import plan
from opsfix.engine.run import Run
from opsfix.errors import CloudRefused, CloudUnknown, GuardError
from opsfix.forwarding.changes import ADD_IF, KIND, Batch, Forwardings, Wish, additions, removals, repairs
from opsfix.forwarding.reading import Reader
from opsfix.model import Item, Mode, Outcome
from opsfix.resources import PortForwarding, Span
from opsfix.scene import Scene
from tests.fakes.forwarding import FakeCloud


def wish(cloud: FakeCloud, external: Span | int = 60122, internal: Span | int = 22, **more: str) -> Wish:
    fip, port = cloud.network.fips[more.pop("fip", "fip-7")], cloud.network.port_rows[more.pop("port", "port-1")]
    spans = [(s, s) if isinstance(s, int) else s for s in (external, internal)]
    address, protocol = more.pop("address", port.addresses[0]), more.pop("protocol", "tcp")
    return Wish(fip, port, PortForwarding("", fip.id, protocol, spans[0], spans[1], port.id, address, **more))


def run(cloud: FakeCloud, batch: Batch, mode: Mode = Mode.APPLY, events: list[Any] | None = None) -> list[Item]:
    scene = Scene(cloud, deadline=0.3)  # type: ignore[arg-type]
    kept = events if events is not None else []
    recorder = lambda item: lambda event, /, **data: kept.append((item, event, data))  # noqa: E731
    return _carried_out(Run(Forwardings(batch), repairs(batch), scene, mode, recorder, workers=4), batch)


def add(cloud: FakeCloud, reader: Reader, *wishes: Wish, **more: Any) -> list[Item]:
    return run(cloud, Batch.of(additions(reader, wishes)), **more)


def outcomes(items: list[Item]) -> list[Outcome]:
    return [item.outcome for item in items]


def test_what_is_asked_for_is_there_and_again_nothing_is_sent(cloud: FakeCloud, reader: Reader) -> None:
    wanted = [wish(cloud), wish(cloud, 53, 53, protocol="udp"), wish(cloud, (6000, 6010), 7000, description="a range")]
    events: list[Any] = []
    items = add(cloud, reader, *wanted, events=events)
    assert outcomes(items) == [Outcome.REPAIRED] * 3
    assert {i.by for i in items} == {"api"}
    assert sorted((f.protocol, f.external, f.internal, f.description) for f in cloud.network.rows.values()) == [
        ("tcp", (6000, 6010), (7000, 7000), "a range"), ("tcp", (60122, 60122), (22, 22), ""), ("udp", (53, 53), (53, 53), ""),
    ]
    before = [data for _, event, data in events if event == "api-before"]
    assert {b["inverse"]["delete_port_forwarding"]["external"] for b in before} == {(60122, 60122), (53, 53), (6000, 6010)}
    sent = len(cloud.network.sent)
    assert outcomes(add(cloud, reader, *wanted)) == [Outcome.HEALTHY] * 3
    assert len(cloud.network.sent) == sent


def test_a_dry_run_sends_nothing(cloud: FakeCloud, reader: Reader) -> None:
    items = add(cloud, reader, wish(cloud), mode=Mode.DRY_RUN)
    assert outcomes(items) == [Outcome.NEEDS_COMMIT]
    assert "neutron: forward 198.51.100.7:60122/tcp to 10.0.0.5:22" in items[0].steps[0].what
    assert cloud.network.sent == []


def in_use(cloud: FakeCloud) -> Wish:
    cloud.network.add_port("other", "10.0.0.6")
    cloud.network.add_fip(7, port_id="other")
    return wish(cloud)


def own_address(cloud: FakeCloud) -> Wish:
    cloud.network.add_fip(8, port_id="port-1")
    return wish(cloud)


def foreign_address(cloud: FakeCloud) -> Wish:
    return wish(cloud, address="10.0.0.99")


def no_ranges(cloud: FakeCloud) -> Wish:
    cloud.network.extension = False
    return wish(cloud, (6000, 6001), (6000, 6001))


def no_router(cloud: FakeCloud) -> Wish:
    cloud.network.gateways["router-1"] = None
    return wish(cloud)


def other_router(cloud: FakeCloud) -> Wish:
    cloud.network.add_router("router-2", "subnet-2", "10.0.2.1")
    cloud.network.add_port("far", "10.0.2.5", subnet="subnet-2")
    cloud.network.add_row(cloud.network.fips["fip-7"], cloud.network.port_rows["port-1"], 1, 1)
    return wish(cloud, port="far")


def taken_outside(cloud: FakeCloud) -> Wish:
    cloud.network.add_port("other", "10.0.0.6")
    cloud.network.add_row(cloud.network.fips["fip-7"], cloud.network.port_rows["other"], (60100, 60200), (100, 200))
    return wish(cloud)


def taken_inside(cloud: FakeCloud) -> Wish:
    cloud.network.add_row(cloud.network.fips["fip-8"], cloud.network.port_rows["port-1"], 22, 22)
    return wish(cloud)


REFUSED: dict[Callable[[FakeCloud], Wish], tuple[str, ...]] = {
    in_use: ("in use as such, by port other", "openstack floating ip unset --port fip-7"),
    own_address: ("port port-1 has the floating IP 198.51.100.8 of its own",),
    foreign_address: ("10.0.0.99 is not an address of port port-1, which has 10.0.0.5",),
    no_ranges: ("single ports only",),
    no_router: ("no router leads",),
    other_router: ("bound to router router-1", "behind router router-2"),
    taken_outside: ("taken by forwarding row-0", "10.0.0.6:100-200", "opsfix forward remove 198.51.100.7 --id row-0"),
    taken_inside: ("10.0.0.5:22 is reached through 198.51.100.8:22/tcp", "opsfix forward remove 198.51.100.8 --id row-0"),
}


@pytest.mark.parametrize("build", REFUSED, ids=lambda b: b.__name__)
def test_a_guard_refuses_before_anything_is_sent(cloud: FakeCloud, reader: Reader, build: Callable[[FakeCloud], Wish]) -> None:
    items = add(cloud, reader, build(cloud), wish(cloud, 443, 8443))
    refused, other = sorted(items, key=lambda i: i.reason == UNTOUCHED)
    assert (refused.outcome, refused.finding, refused.by) == (Outcome.REFUSED, "forward-missing", None)
    for words in REFUSED[build]:
        assert words in refused.reason
    assert "?" not in refused.reason
    assert other.outcome is Outcome.REFUSED
    assert cloud.network.sent == []


def test_the_same_port_twice_in_one_command_is_refused(cloud: FakeCloud, reader: Reader) -> None:
    with pytest.raises(GuardError, match=r"198\.51\.100\.7:60122/tcp to 10\.0\.0\.5:23 collides with .*:22"):
        add(cloud, reader, wish(cloud), wish(cloud, 60122, 23))
    items = add(cloud, reader, wish(cloud, (6000, 6010), (7000, 7010)), wish(cloud, 6010, 9000))
    assert "collides with 198.51.100.7:6000-6010/tcp to 10.0.0.5:7000-7010 of the same" in "".join(i.reason for i in items)
    items = add(cloud, reader, wish(cloud, 1, 22), wish(cloud, 2, 22, fip="fip-8"))
    assert "collides with 198.51.100.7:1/tcp" in "".join(i.reason for i in items)
    assert cloud.network.sent == []
    assert outcomes(add(cloud, reader, wish(cloud), wish(cloud))) == [Outcome.REPAIRED]


@pytest.mark.parametrize("guard", ADD_IF, ids=lambda g: g.fact)
def test_each_guard_alone_refuses(cloud: FakeCloud, reader: Reader, guard: Any) -> None:
    (change,) = additions(reader, [wish(cloud)])
    batch = Batch.of([change])
    facts = change.facts(None)
    assert plan(KIND, repairs(batch), facts, check_age=True).refusal is None
    flipped = facts | {guard.fact: "other" if guard.value is None else False}
    assert plan(KIND, repairs(batch), flipped, check_age=True).refusal == guard.refusal(flipped)
    unread = {k: v for k, v in facts.items() if k != guard.fact}
    assert plan(KIND, repairs(batch), unread, check_age=True).refusal


def test_the_gateway_of_the_subnet_is_the_router_that_counts(cloud: FakeCloud, reader: Reader) -> None:
    cloud.network.add_router("router-0", "subnet-1", "10.0.0.254")
    cloud.network.subnets["net-private"]["subnet-1"] = "10.0.0.1"
    assert outcomes(add(cloud, reader, wish(cloud))) == [Outcome.REPAIRED]
    cloud.network.add_fip(8, router_id="router-0")
    assert "bound to router router-0" in add(cloud, reader, wish(cloud, 1, 1, fip="fip-8"))[0].reason


@pytest.mark.parametrize(("made", "expected"), [(True, Outcome.REPAIRED), (False, Outcome.UNKNOWN)])
def test_a_lost_answer_is_read_back(cloud: FakeCloud, reader: Reader, made: bool, expected: Outcome) -> None:
    cloud.network.faults, cloud.network.late = [CloudUnknown("HTTP 500")], made
    (item,) = add(cloud, reader, wish(cloud))
    assert item.outcome is expected
    assert len(cloud.network.rows) == int(made)
    assert cloud.network.sent == ["create"]


def test_a_no_of_neutron_is_told(cloud: FakeCloud, reader: Reader) -> None:
    cloud.network.faults = [CloudRefused(400, "There is a port collision")]
    (item,) = add(cloud, reader, wish(cloud))
    assert (item.outcome, cloud.network.rows) == (Outcome.FAILED, {})
    assert "port collision" in item.reason


def test_removals_go_one_by_one_on_a_floating_ip(cloud: FakeCloud) -> None:
    network = cloud.network
    rows = [network.add_row(network.fips[f"fip-{7 + n % 2}"], network.port_rows["port-1"], 1000 + n, 2000 + n) for n in range(12)]
    events: list[Any] = []
    batch = Batch.of(c for f in ("fip-7", "fip-8") for c in removals(network.fips[f], network.forwardings(f)))
    items = run(cloud, batch, events=events)
    assert outcomes(items) == [Outcome.REPAIRED] * 12
    assert network.rows == {}
    assert not network.crowded
    assert {f.router_id for f in network.fips.values()} == {None}
    kept = [d["inverse"]["create_port_forwarding"] for _, event, d in events if event == "api-before"]
    assert sorted(k["id"] for k in kept) == sorted(r.id for r in rows)
    assert all(k["address"] == "10.0.0.5" and k["protocol"] == "tcp" for k in kept)


def test_what_somebody_else_removed_is_gone(cloud: FakeCloud) -> None:
    row = cloud.network.add_row(cloud.network.fips["fip-7"], cloud.network.port_rows["port-1"], 1, 1)
    batch = Batch.of(removals(cloud.network.fips["fip-7"], [row]))
    cloud.network.rows.clear()
    assert outcomes(run(cloud, batch)) == [Outcome.REPAIRED]


def test_what_somebody_else_made_of_the_same_port_is_left(cloud: FakeCloud) -> None:
    fip, port = cloud.network.fips["fip-7"], cloud.network.port_rows["port-1"]
    row = cloud.network.add_row(fip, port, 1, 1)
    batch = Batch.of(removals(fip, [row]))
    cloud.network.rows.clear()
    other = cloud.network.add_row(fip, port, 1, 2)
    run(cloud, batch)
    assert cloud.network.rows == {other.id: other}


def test_floating_ips_take_turns(cloud: FakeCloud) -> None:
    fips, port = cloud.network.fips, cloud.network.port_rows["port-1"]
    for n in range(6):
        cloud.network.add_row(fips["fip-7" if n < 4 else "fip-8"], port, n + 1, n + 1)
    batch = Batch.of(c for f in ("fip-7", "fip-8") for c in removals(fips[f], cloud.network.forwardings(f)))
    order = [batch.changes[i].floating_ip.id for i in batch.ids(wanted=False)]
    assert order == ["fip-7", "fip-8", "fip-7", "fip-8", "fip-7", "fip-7"]
