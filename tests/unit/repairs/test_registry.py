"""Every repair is reachable, and declares what the engine needs."""

import importlib
import pkgutil
from collections import defaultdict

import pytest

from opsfix import repairs, sqlfile
from opsfix.guards import Unread
from opsfix.repair import Repair

#: What each command tries, and the same in one.
COMMANDS = {
    name: value for name, value in vars(repairs).items() if isinstance(value, tuple) and all(isinstance(v, Repair) for v in value)
}
EVERY = tuple(repair for command in COMMANDS.values() for repair in command)
MODULES = [name for _, name, _ in pkgutil.iter_modules(repairs.__path__) if not name.endswith("_common")]


def declared(name: str) -> tuple[Repair, ...]:
    """The repairs of a module."""
    module = importlib.import_module(f"opsfix.repairs.{name}")
    return tuple(getattr(module, "REPAIRS", ())) or (module.REPAIR,)


def told(repair: Repair) -> tuple[object, ...]:
    """A repair without its ``when``, which a command may narrow."""
    return (repair.symptom, repair.means, repair.only_if, repair.fixed_when, len(repair.api), repair.fallback)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_is_in_the_command(name: str) -> None:
    assert set(map(told, declared(name))) <= set(map(told, EVERY))


def test_the_commands_have_nothing_else() -> None:
    assert set(map(told, EVERY)) == {told(repair) for name in MODULES for repair in declared(name)}


def test_a_command_only_narrows_what_a_module_declares() -> None:
    whole = {told(repair): set() for name in MODULES for repair in declared(name)}
    for name in MODULES:
        for repair in declared(name):
            whole[told(repair)] |= {frozenset(repair.when)}
    for repair in EVERY:
        assert any(when <= set(repair.when) for when in whole[told(repair)])


def test_the_commands_are_known() -> None:
    assert "VOLUME_UNSTICK" in COMMANDS


def test_a_symptom_belongs_to_one_module_and_is_its_name() -> None:
    symptoms = defaultdict(set)
    for name in MODULES:
        for repair in declared(name):
            symptoms[repair.symptom].add(name)
    assert {s: {s.replace("-", "_")} for s in symptoms} == symptoms


@pytest.mark.parametrize("repair", EVERY, ids=lambda r: f"{r.symptom}: {r.means}")
class TestRepair:
    """What must hold of each."""

    def test_it_says_what_it_means(self, repair: Repair) -> None:
        assert repair.means
        assert repair.when
        assert repair.only_if or repair.api

    def test_what_it_does_can_be_proven(self, repair: Repair) -> None:
        assert bool(repair.api or repair.fallback) == bool(repair.fixed_when)

    def test_it_never_matches_what_could_not_be_read(self, repair: Repair) -> None:
        facts = {g.fact: Unread("x") for g in repair.when}
        assert not any(g.holds(facts) for g in repair.when)

    def test_its_fallback_has_its_file_and_its_guards(self, repair: Repair) -> None:
        if repair.fallback is None:
            return
        file = sqlfile.load(repair.fallback.sql)
        assert file.database == repair.fallback.database
        assert set(file.guards_in_sql) == {g.sentence for g in repair.fallback.only_if if g.in_sql}
        assert set(file.guards_by_api) == {g.sentence for g in repair.fallback.only_if if not g.in_sql}
