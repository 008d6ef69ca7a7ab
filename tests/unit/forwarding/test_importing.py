"""A file against what is there: what is added, what is removed, what stays, and that it can be repeated."""

from __future__ import annotations

import pytest

from opsfix.errors import TargetNotFound, UsageError
from opsfix.forwarding.documents import Line, dump, load
from opsfix.forwarding.importing import Difference, difference, picked, wishes
from opsfix.forwarding.listing import floating_ips, forwardings, of_servers, ports
from opsfix.forwarding.reading import Reader
from opsfix.model import Outcome
from tests.fakes.forwarding import FakeCloud
from tests.unit.forwarding.test_changes import outcomes, run


def line(external: int, internal: int, fip: str = "198.51.100.7", **more: str) -> Line:
    given = {"protocol": "tcp", "port": "port-1", "address": "", "server": "", "description": ""} | more
    return Line(external, fip, given["protocol"], (external, external), (internal, internal), given["port"], given["address"],
                given["server"], given["description"])


def compare(reader: Reader, *lines: Line, prune: bool = False) -> Difference:
    wanted, problems = wishes(reader, lines)
    assert problems == []
    return difference(reader, wanted, prune=prune)


def test_the_difference_is_added_and_then_there_is_none(cloud: FakeCloud, reader: Reader) -> None:
    fip, port = cloud.network.fips["fip-7"], cloud.network.port_rows["port-1"]
    cloud.network.add_row(fip, port, 80, 8080)
    kept = cloud.network.add_row(fip, port, 81, 8081)
    lines = [line(80, 8080), line(443, 8443), line(22, 22, fip="198.51.100.8", server="web-01", port="")]
    found = compare(reader, *lines)
    assert found.lines() == [
        "+ 198.51.100.7:443/tcp to 10.0.0.5:8443", "= 198.51.100.7:80/tcp to 10.0.0.5:8080", "+ 198.51.100.8:22/tcp to 10.0.0.5:22",
    ]
    assert found.left == 1
    assert set(outcomes(run(cloud, found.batch))) == {Outcome.REPAIRED, Outcome.HEALTHY}
    assert kept.id in cloud.network.rows
    assert set(outcomes(run(cloud, compare(reader, *lines).batch))) == {Outcome.HEALTHY}


def test_prune_removes_what_the_file_has_not_of_the_floating_ips_it_names(cloud: FakeCloud, reader: Reader) -> None:
    fips, port = cloud.network.fips, cloud.network.port_rows["port-1"]
    cloud.network.add_row(fips["fip-7"], port, 80, 8080)
    cloud.network.add_row(fips["fip-7"], port, 443, 22)
    other = cloud.network.add_row(fips["fip-8"], port, 443, 9)
    found = compare(reader, line(80, 8080), line(443, 8443), line(2222, 22), prune=True)
    assert [text for text in found.lines() if text[0] == "-"] == ["- 198.51.100.7:443/tcp to 10.0.0.5:22"]
    assert found.asks
    run(cloud, found.batch)
    there = {(f.external[0], f.internal[0]) for f in cloud.network.forwardings("fip-7")}
    assert there == {(80, 8080), (443, 8443), (2222, 22)}
    assert other.id in cloud.network.rows


def test_without_prune_a_taken_port_is_refused(cloud: FakeCloud, reader: Reader) -> None:
    cloud.network.add_row(cloud.network.fips["fip-7"], cloud.network.port_rows["port-1"], 443, 22)
    items = run(cloud, compare(reader, line(443, 8443)).batch)
    assert outcomes(items) == [Outcome.REFUSED]
    assert cloud.network.sent == []


def test_every_wrong_line_is_told(cloud: FakeCloud, reader: Reader) -> None:
    cloud.network.add_port("twin-1", "10.0.0.8", name="twin")
    cloud.network.add_port("twin-2", "10.0.0.9", name="twin")
    lines = [line(1, 1), line(2, 2, fip="198.51.100.99"), line(3, 3, port="gone"), line(4, 4, port="", server="nobody"),
             line(5, 5, port="", server="twin")]
    wanted, problems = wishes(reader, lines)
    assert len(wanted) == 1
    assert [(p.line, type(p.error)) for p in problems] == [
        (2, TargetNotFound), (3, TargetNotFound), (4, TargetNotFound), (5, UsageError),
    ]


@pytest.mark.parametrize("form", ["yaml", "csv"])
def test_an_export_is_no_difference(cloud: FakeCloud, reader: Reader, form: str) -> None:
    for n in range(5):
        cloud.network.add_row(cloud.network.fips["fip-7"], cloud.network.port_rows["port-1"], (n * 10 + 1, n * 10 + 3), n + 1)
    rows = forwardings(reader, cloud.network.fips.values())
    assert {r["server_name"] for r in rows} == {"web-01"}
    found = compare(reader, *load(dump(rows, form), form), prune=True)
    assert {text[0] for text in found.lines()} == {"="}
    assert len(found.batch.changes) == 5


def test_five_hundred_take_few_reads(cloud: FakeCloud, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for name in ("every_floating_ip", "forwardings", "ports", "port", "floating_ip", "gateway_network"):
        real = getattr(cloud.network, name)
        monkeypatch.setattr(cloud.network, name, lambda *a, real=real, name=name, **k: (asked.append(name), real(*a, **k))[1])
    found = compare(reader, *(line(n + 1, n + 1) for n in range(500)))
    assert len(found.batch.changes) == 500
    assert len(asked) < 20


def test_the_named_are_picked(cloud: FakeCloud) -> None:
    fip, port = cloud.network.fips["fip-7"], cloud.network.port_rows["port-1"]
    a, b = cloud.network.add_row(fip, port, 80, 80), cloud.network.add_row(fip, port, 80, 80, protocol="udp")
    there = cloud.network.forwardings("fip-7")
    assert picked(there, fip.address, "tcp", [(80, 80)], []) == [a]
    assert picked(there, fip.address, "udp", [(80, 80)], []) == picked(there, fip.address, "tcp", [], [b.id.upper()]) == [b]
    for wanted in ({"externals": [(80, 81)], "ids": []}, {"externals": [], "ids": ["row-9"]}):
        with pytest.raises(TargetNotFound, match="opsfix forward list"):
            picked(there, fip.address, "tcp", **wanted)  # type: ignore[arg-type]


def test_lists_tell_what_is_used_by_whom(cloud: FakeCloud, reader: Reader) -> None:
    cloud.network.add_port("other", "10.0.0.6", "fd00::6")
    cloud.network.add_fip(9, port_id="other")
    cloud.network.add_row(cloud.network.fips["fip-7"], cloud.network.port_rows["port-1"], 80, 80)
    assert [(f["floating_ip_address"], f["use"], f["forwardings"]) for f in floating_ips(reader)] == [
        ("198.51.100.7", "forwards", 1), ("198.51.100.8", "free", 0), ("198.51.100.9", "port other", 0),
    ]
    (row,) = ports(reader, of_servers(reader))
    assert (row["server_name"], row["internal_ip_address"], row["forwardings"], row["floating_ip_address"]) == (
        "web-01", "10.0.0.5", 1, None,
    )
    (row,) = ports(reader, [cloud.network.port_rows["other"]])
    assert (row["internal_ip_address"], row["floating_ip_address"]) == ("10.0.0.6", "198.51.100.9")
