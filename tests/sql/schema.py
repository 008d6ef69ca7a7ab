"""The recorded schemas of tests/schemas as CREATE statements."""

import json
from collections.abc import Iterable
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"
HEADS: dict[str, dict[str, Any]] = json.loads((SCHEMAS / "heads.json").read_text())
RELEASES = tuple(HEADS)
DATABASES = ("nova_api", "nova", "cinder", "glance", "neutron", "placement")
VERSION_TABLE = "alembic_version"

#: Indexes over the first characters only, which the record does not tell: index, columns, length.
PREFIXES = {
    "migrations_by_host_nodes_and_status_idx": (("source_compute", "dest_compute", "source_node", "dest_node"), 100)
}

Table = dict[str, Any]


def heads(release: str, database: str) -> tuple[str, ...]:
    """The alembic heads that a database of this release carries."""
    return tuple(HEADS[release]["alembic_heads"][database])


@cache
def _release(release: str) -> dict[str, dict[str, Table]]:
    return json.loads((SCHEMAS / f"{release}.json").read_text())


def tables(release: str, database: str) -> dict[str, Table]:
    """Every table of a database, by name, as tests/schemas/README.md describes them."""
    return _release(release)[database]


def select(release: str, database: str, wanted: Iterable[str] | None = None) -> list[str]:
    """The wanted tables (None: all) with all that they refer to, parents before children."""
    known = tables(release, database)
    graph: dict[str, set[str]] = {}
    queue = [*(known if wanted is None else wanted), VERSION_TABLE]
    while queue:
        name = queue.pop()
        if name not in graph:
            graph[name] = {parent for _, parent, _, _ in known[name]["fks"]} - {name}
            queue.extend(graph[name])
    return list(TopologicalSorter(graph).static_order())


def statements(release: str, database: str, wanted: Iterable[str] | None = None) -> list[str]:
    """What makes an empty database one of this release: the tables, then the alembic heads."""
    known = tables(release, database)
    created = [create_table(name, known[name]) for name in select(release, database, wanted)]
    versions = ", ".join(f"('{head}')" for head in heads(release, database))
    return [*created, f"INSERT INTO {VERSION_TABLE} (version_num) VALUES {versions}"]


def create_table(name: str, table: Table) -> str:
    """One CREATE TABLE statement, keys and constraints included."""
    lines = [f"{_quote(column)} {definition}" for column, definition in table["columns"].items()]
    if table["pk"]:
        lines.append(f"PRIMARY KEY {_list(table['pk'])}")
    lines += [_index(*index) for index in table["indexes"]]
    lines += [_foreign_key(*key) for key in table["fks"]]
    lines += [f"CHECK ({expression})" for expression in table.get("checks", ())]
    body = ",\n  ".join(lines)
    return f"CREATE TABLE {_quote(name)} (\n  {body}\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3"


def _index(name: str, unique: bool, columns: list[str]) -> str:
    cut, length = PREFIXES.get(name, ((), 0))
    parts = ", ".join(_quote(column) + (f"({length})" if column in cut else "") for column in columns)
    return f"{'UNIQUE ' if unique else ''}KEY {_quote(name)} ({parts})"


def _foreign_key(columns: list[str], parent: str, parent_columns: list[str], on_delete: str) -> str:
    target = f"{_quote(parent)} {_list(parent_columns)}"
    return f"FOREIGN KEY {_list(columns)} REFERENCES {target} ON DELETE {on_delete}"


def _list(columns: Iterable[str]) -> str:
    return "(" + ", ".join(map(_quote, columns)) + ")"


def _quote(name: str) -> str:
    return f"`{name}`"
