"""Forwardings as a file: YAML or CSV, in neutron's words, fit to be read again and to be edited by hand."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from opsfix.errors import UsageError
from opsfix.forwarding.spans import matched, span
from opsfix.resources import Span

SCHEMA = "opsfix.forwardings/1"
#: ``server`` is for people, and stands in where no port is named; the first four are needed.
FIELDS = (
    "floating_ip_address", "protocol", "external_port", "internal_port", "internal_port_id", "internal_ip_address", "server",
    "description",
)
FORMS = ("yaml", "csv")
#: neutron_lib.constants.IPTABLES_PROTOCOL_MAP.
PROTOCOLS = ("tcp", "udp", "sctp", "dccp", "icmp", "ipv6-icmp")


@dataclass(frozen=True)
class Line:
    """One forwarding of a file, as it is named there. ``number`` is its line in CSV, its place in YAML's list."""

    number: int
    floating_ip: str
    protocol: str
    external: Span
    internal: Span
    port: str
    address: str
    server: str
    description: str


def form_of(name: str | None, given: str | None) -> str:
    """``yaml`` or ``csv``, as given or by the file's suffix; raises UsageError where the name does not tell."""
    if given:
        return given
    if name in (None, "-"):
        return "yaml"
    suffix = str(name).rpartition(".")[2].lower()
    form = {"yaml": "yaml", "yml": "yaml", "csv": "csv"}.get(suffix)
    if form is None:
        raise UsageError(f"{name}: is it YAML or CSV? Give it the suffix .yaml or .csv, or say --format")
    return form


def dump(rows: Sequence[Mapping[str, Any]], form: str) -> str:
    """The text of a file with these rows of listing.forwardings."""
    listed = [{name: row["server_name" if name == "server" else name] or "" for name in FIELDS} for row in rows]
    if form == "yaml":
        document = {"schema": SCHEMA, "forwardings": listed}
        return yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
    out = io.StringIO()
    writer = csv.DictWriter(out, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    return out.getvalue()


def load(text: str, form: str) -> list[Line]:
    """The forwardings of a file; raises UsageError that names the line and what is wrong with it."""
    rows = _yaml(text) if form == "yaml" else _csv(text)
    return [_line(number, row) for number, row in rows]


def _yaml(text: str) -> Iterable[tuple[int, Mapping[str, Any]]]:
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as e:
        raise UsageError(f"the file is not YAML: {' '.join(str(e).split())}") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA or not isinstance(document.get("forwardings"), list):
        raise UsageError(f"the file is no list of forwardings: it needs 'schema: {SCHEMA}' and 'forwardings', a list")
    for number, row in enumerate(document["forwardings"], 1):
        if not isinstance(row, dict):
            raise UsageError(f"entry {number} is no forwarding: it needs {', '.join(FIELDS[:4])}")
        yield number, row


def _csv(text: str) -> Iterable[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True, restkey="")
    try:
        if not reader.fieldnames:
            raise UsageError(f"the file is empty: its first line is {','.join(FIELDS)}")
        for row in reader:
            yield reader.line_num, row
    except csv.Error as e:
        raise UsageError(f"line {reader.line_num} is not CSV: {e}") from None


def _line(number: int, row: Mapping[str, Any]) -> Line:
    unknown = [str(name) or "a value without a heading" for name in row if name not in FIELDS]
    if unknown:
        raise UsageError(f"line {number}: unknown: {', '.join(unknown)}; known are {', '.join(FIELDS)}")
    values = {name: _plain(number, name, row.get(name)) for name in FIELDS}
    missing = [name for name in ("floating_ip_address", "external_port", "internal_port") if not values[name]]
    if missing:
        raise UsageError(f"line {number}: {', '.join(missing)} must be given")
    if not values["internal_port_id"] and not values["server"]:
        raise UsageError(f"line {number}: internal_port_id or server must be given")
    if (protocol := values["protocol"] or "tcp") not in PROTOCOLS:
        raise UsageError(f"line {number}: {protocol!r} is no protocol: give one of {', '.join(PROTOCOLS)}")
    try:
        external, internal = matched(span(values["external_port"]), span(values["internal_port"]))
    except UsageError as e:
        raise UsageError(f"line {number}: {e}") from None
    return Line(
        number, values["floating_ip_address"], protocol, external, internal, values["internal_port_id"],
        values["internal_ip_address"], values["server"], values["description"],
    )


def _plain(number: int, name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (dict, list, bool, float)):
        raise UsageError(f"line {number}: {name} must be a text or a number, not {value!r}")
    return str(value) if name in ("description", "server") else str(value).strip().lower()
