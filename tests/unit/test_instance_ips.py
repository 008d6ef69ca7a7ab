"""The list of addresses: joined right, in every form, and never more than a page of it in memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from opsfix.cli.streaming import Form, written
from opsfix.errors import CloudUnknown
from opsfix.instance_ips import AHEAD, ASKED, COLUMNS, PAGE, SCHEMA, by_api, by_database, flattened
from opsfix.resources import FloatingIP, Port, Server

FORM = Form(SCHEMA, "servers", COLUMNS, flattened)


class Network:
    """Two ports for each server, the second with a floating IP; ``asked`` are the sizes of the questions."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def ports_of(self, device_ids: Sequence[str]) -> Iterator[Port]:
        self.asked.append(len(device_ids))
        for server in reversed(device_ids):
            for n in (2, 1):
                yield Port(f"{server}-{n}", "", "", server, "", f"net-{n}", "", addresses=(f"10.0.{n}.{server}", f"fd00::{n}"))

    def every_floating_ip(self, *, port_ids: Sequence[str]) -> Iterator[FloatingIP]:
        self.asked.append(len(port_ids))
        yield from (FloatingIP(p, f"198.51.100.{p}", p) for p in port_ids if p.endswith("-2"))


def cloud(count: int, seen: list[int] | None = None, fails_at: int | None = None) -> Any:
    def servers(**_: Any) -> Iterator[Server]:
        for n in range(count):
            if n == fails_at:
                raise CloudUnknown("a page is missing")
            if seen is not None:
                seen.append(n)
            yield Server(str(n), f"näme {n}", "p", host="gpu-1" if n else None)

    return SimpleNamespace(servers=servers, network=Network())


def row(server: str) -> dict[str, Any]:
    return {
        "id": server, "name": f"näme {server}", "project_id": "p", "host": None if server == "0" else "gpu-1", "complete": True,
        "ports": [
            {"id": f"{server}-1", "network_id": "net-1", "fixed": [f"10.0.1.{server}", "fd00::1"], "floating": []},
            {"id": f"{server}-2", "network_id": "net-2", "fixed": [f"10.0.2.{server}", "fd00::2"],
             "floating": [f"198.51.100.{server}-2"]},
        ],
    }


def test_every_address_of_every_port_in_novas_order() -> None:
    found = cloud(2 * ASKED + 1)
    assert list(by_api(found)) == [row(str(n)) for n in range(2 * ASKED + 1)]
    assert max(found.network.asked) == ASKED


def test_little_more_is_read_than_shown() -> None:
    seen: list[int] = []
    rows = by_api(cloud(100 * ASKED, seen))
    for shown in range(1, 3 * ASKED):
        next(rows)
        assert len(seen) <= shown + (AHEAD + 1) * ASKED


def test_half_a_list_never_looks_whole() -> None:
    shown: list[str] = []
    with pytest.raises(CloudUnknown):
        shown.extend(written(by_api(cloud(300, fails_at=250)), FORM, "json"))
    with pytest.raises(json.JSONDecodeError):
        json.loads("".join(shown))


@pytest.mark.parametrize("count", [0, 1, 250])
@pytest.mark.parametrize("output", ["json", "yaml"])
def test_the_pieces_make_one_document(count: int, output: str) -> None:
    text = "".join(written(by_api(cloud(count)), FORM, output))
    whole = json.loads(text) if output == "json" else yaml.safe_load(text)
    assert whole == {"schema": SCHEMA, "servers": [row(str(n)) for n in range(count)]}


@pytest.mark.parametrize("count", [0, 1, 250])
def test_the_pieces_make_one_table_of_values(count: int) -> None:
    lines = list(csv.reader(io.StringIO("".join(written(by_api(cloud(count)), FORM, "csv")))))
    assert lines[0] == list(COLUMNS)
    assert [line[0] for line in lines[1:]] == [str(n) for n in range(count)]
    if count:
        fixed = "10.0.1.0,fd00::1,10.0.2.0,fd00::2"
        assert lines[1] == ["0", "näme 0", "p", "-", fixed, "198.51.100.0-2"]
        assert "".join(written(by_api(cloud(1)), FORM, "value")) == f"0 näme 0 p - {fixed} 198.51.100.0-2\n"
        assert fixed in "".join(written(by_api(cloud(1)), FORM, "table"))
    else:
        assert "".join(written(iter(()), FORM, "table")) == "Nothing found.\n"


VIF = {
    "id": "port", "network": {"id": "net", "subnets": [
        {"ips": [{"address": "10.0.0.5", "floating_ips": [{"address": "198.51.100.5"}]}, {"address": "10.0.0.6"}]},
        {"ips": [{"address": "fd00::5", "floating_ips": []}]}, {"ips": []},
    ]},
}


class Tables:
    """nova's cells, page by page."""

    def __init__(self, cells: Mapping[str, list[dict[str, Any]]]) -> None:
        self.cells = cells

    def cell_names(self) -> list[str]:
        return list(self.cells)

    def read(self, name: str, params: Mapping[str, Any], *, cell: str) -> list[dict[str, Any]]:
        assert name == "read_server_ips.nova"
        return [r for r in self.cells[cell] if r["uuid"] > params["after"]][: params["page"]]


def cached(uuid: str, info: str | None, **columns: Any) -> dict[str, Any]:
    return {"uuid": uuid, "display_name": "n", "project_id": "p", "host": "gpu-1", "network_info": info} | columns


def test_what_nova_remembers_in_every_cell() -> None:
    many = [cached(f"{n:05}", "[]") for n in range(2 * PAGE + 1)]
    tables: Any = Tables({"cell1": many, "cell2": [cached("x", json.dumps([VIF]))], "empty": []})
    found = list(by_database(tables))
    assert [r["id"] for r in found] == [*(f"{n:05}" for n in range(2 * PAGE + 1)), "x"]
    assert found[-1]["ports"] == [
        {"id": "port", "network_id": "net", "fixed": ["10.0.0.5", "10.0.0.6", "fd00::5"], "floating": ["198.51.100.5"]}
    ]


@pytest.mark.parametrize("info", [None, "", "null", "{", '{"a": 1}', '[{"id": 1}]', "[null]", '[{"id": 1, "network": null}]', "7"])
def test_what_nova_does_not_remember_is_not_no_address(info: str | None) -> None:
    [found] = by_database(Tables({"cell1": [cached("a", info)]}))  # type: ignore[arg-type]
    assert (found["complete"], found["ports"]) == (False, [])
    [shown] = flattened([found])
    assert (shown["fixed"], shown["floating"]) == ("?", "?")


def test_a_server_without_ports_has_none() -> None:
    [shown] = flattened(by_database(Tables({"cell1": [cached("a", "[]")]})))  # type: ignore[arg-type]
    assert (shown["complete"], shown["fixed"], shown["floating"]) == (True, "-", "-")


def test_only_of_a_project_or_a_host() -> None:
    tables: Any = Tables({"cell1": [cached("a", "[]"), cached("b", "[]", host="GPU-1"), cached("c", "[]", project_id="q")]})
    assert [r["id"] for r in by_database(tables, host="gpu-1")] == ["a", "c"]
    assert [r["id"] for r in by_database(tables, host="gpu-1", project="q")] == ["c"]
