"""Forwardings as a file: what is written is read again, what cannot be meant is told with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from opsfix.errors import UsageError
from opsfix.forwarding.documents import FIELDS, SCHEMA, dump, form_of, load

HEAD = ",".join(FIELDS)


def row(**more: Any) -> dict[str, Any]:
    return {
        "floating_ip_address": "198.51.100.7", "protocol": "tcp", "external_port": "6000-6010", "internal_port": "7000",
        "internal_port_id": "port-1", "internal_ip_address": "10.0.0.5", "server_name": None, "description": "", "id": "x",
    } | more


@pytest.mark.parametrize("form", ["yaml", "csv"])
@given(text=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20), port=st.integers(1, 65535))
def test_what_is_written_is_read_again(form: str, text: str, port: int) -> None:
    (line,) = load(dump([row(description=text, server_name=text, external_port=str(port))], form), form)
    assert (line.description, line.server, line.external, line.internal) == (text, text, (port, port), (7000, 7000))
    assert (line.floating_ip, line.port, line.address) == ("198.51.100.7", "port-1", "10.0.0.5")


def test_a_hand_written_file_needs_little() -> None:
    (line,) = load("\ufefffloating_ip_address,external_port,internal_port,server\r\n198.51.100.7,80,8080,Web 01\r\n", "csv")
    assert (line.number, line.protocol, line.port, line.server, line.address) == (2, "tcp", "", "Web 01", "")
    text = f"schema: {SCHEMA}\nforwardings:\n- {{floating_ip_address: 198.51.100.7, external_port: 80, internal_port: 8080, server: w}}"
    assert load(text, "yaml")[0].external == (80, 80)


CSV = "floating_ip_address,external_port,internal_port,server"


@pytest.mark.parametrize(("text", "words"), [
    ("", "empty"),
    ("a,b\n1,2\n", "unknown: a, b"),
    (f"{CSV}\n198.51.100.7,80,80,w,extra\n", "without a heading"),
    (f"{CSV}\n198.51.100.7,80,80,w\n198.51.100.7,,80,w\n", "line 3: external_port must be given"),
    (f"{CSV}\n198.51.100.7,80,80,\n", "line 2: internal_port_id or server"),
    (f"{CSV}\n198.51.100.7,80,99999,w\n", "line 2: '99999' is no port"),
    (f"{CSV}\n198.51.100.7,80-81,1-9,w\n", "line 2: 80-81:1-9"),
    (f"{CSV},protocol\n198.51.100.7,80,80,w,tpc\n", "line 2: 'tpc' is no protocol"),
    (f'{CSV}\n198.51.100.7,80,80,"w\n', "not CSV"),
    (f"{CSV}\n198.51.100.7\n", "line 2: external_port, internal_port must be given"),
])
def test_a_wrong_line_of_csv_is_named(text: str, words: str) -> None:
    with pytest.raises(UsageError) as told:
        load(text, "csv")
    assert words in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(("text", "words"), [
    ("", "no list of forwardings"),
    ("{", "not YAML"),
    ("- a", "no list of forwardings"),
    ("schema: other/1\nforwardings: []", SCHEMA),
    (f"schema: {SCHEMA}\nforwardings: {{}}", "a list"),
    (f"schema: {SCHEMA}\nforwardings: [1]", "entry 1 is no forwarding"),
    (f"schema: {SCHEMA}\nforwardings: [{{floating_ip_address: [1]}}]", "must be a text"),
    (f"schema: {SCHEMA}\nforwardings: [{{1: 2}}]", "unknown: 1"),
    ("!!python/object/apply:os.system ['true']", "not YAML"),
])
def test_wrong_yaml_is_told(text: str, words: str) -> None:
    with pytest.raises(UsageError) as told:
        load(text, "yaml")
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_an_empty_list_is_no_error() -> None:
    assert load(dump([], "yaml"), "yaml") == load(dump([], "csv"), "csv") == []
    assert dump([], "csv") == f"{HEAD}\n"
    assert yaml.safe_load(dump([row()], "yaml"))["forwardings"][0]["external_port"] == "6000-6010"


@pytest.mark.parametrize(("name", "given_form", "form"), [
    ("a.csv", None, "csv"), ("A.YML", None, "yaml"), ("b.yaml", None, "yaml"), (None, None, "yaml"), ("-", "csv", "csv"),
    ("odd", "yaml", "yaml"), ("a.csv", "yaml", "yaml"),
])
def test_the_form_is_told_by_the_suffix(name: str | None, given_form: str | None, form: str) -> None:
    assert form_of(name, given_form) == form


def test_an_odd_suffix_needs_the_form(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--format"):
        form_of(str(tmp_path / "x.txt"), None)
