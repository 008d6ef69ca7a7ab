"""A fallback's header says what its repair says: the guards, sentence for sentence."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

from opsfix import repairs, sqlfile
from opsfix.repair import Fallback, Repair
from tests.sql import schema

FILES = sorted(path.name.removesuffix(".sql") for path in sqlfile.directory().glob("*.sql"))


def declared() -> Iterator[Repair]:
    """Every repair that a module of opsfix.repairs holds, registered or not."""
    for module in pkgutil.iter_modules(repairs.__path__):
        for value in vars(importlib.import_module(f"{repairs.__name__}.{module.name}")).values():
            yield from (v for v in (value if isinstance(value, tuple) else (value,)) if isinstance(v, Repair))


FALLBACKS = {f.sql: f for f in (repair.fallback for repair in declared()) if f}


def test_every_fallback_belongs_to_a_repair_and_every_repair_has_its_file() -> None:
    assert sorted(FALLBACKS) == [name for name in FILES if not sqlfile.load(name).reads]


@pytest.mark.parametrize("repair", [r for r in declared() if r.fallback], ids=lambda r: r.symptom)
def test_guards_of_the_header_are_those_of_the_repair(repair: Repair) -> None:
    fallback = repair.fallback
    assert isinstance(fallback, Fallback)
    file = sqlfile.load(fallback.sql)
    assert file.guards_in_sql == tuple(g.sentence for g in fallback.only_if if g.in_sql)
    assert file.guards_by_api == tuple(g.sentence for g in fallback.only_if if not g.in_sql)


@pytest.mark.parametrize("name", FILES)
def test_a_file_states_what_it_is_for(name: str) -> None:
    file = sqlfile.load(name)
    assert file.database in schema.DATABASES
    assert file.releases == f"{schema.RELEASES[0]} .. {schema.RELEASES[-1]}"
    assert file.statements
    assert file.reads == name.startswith("read_")
