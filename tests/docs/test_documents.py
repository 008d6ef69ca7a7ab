"""The runbooks and the repairs belong together; links lead somewhere; nothing speaks of what a reader cannot have."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import opsfix.repairs
from opsfix.guards import Guard
from opsfix.repair import Repair
from tests.docs.documents import DOCUMENTS, README, ROOT, RUNBOOKS, flat, name, spans, table

#: The first word of a repair's module -> the runbook of the command that it belongs to.
COMMANDS = {
    kind: stem
    for kind, stem in {
        "volume": "volume_unstick", "instance": "instance_purge", "image": "image_purge", "compute": "compute_purge",
        "state": "instance_reset_state", "guest": "instance_recover", "deleted": "instance_restore",
        "placement": "placement_clean", "port": "port_repair", "agent": "agent_clean",
        "drain": "compute_drain", "host": "compute_discover",
        "mapping": "volume_reconcile", "quota": "volume_quota_sync",
    }.items()
    if (ROOT / "runbooks" / f"{stem}.md").is_file()
}
#: Runbooks of a command; the others are of a repair.
OF_COMMANDS = {*COMMANDS.values(), "apply", "config_grants", "db_backup", "db_restore", "db_status", "doctor", "forward", "undo"}
HEADINGS = {"## Symptom", "## What it means", "## What it refuses", "## Look by hand", "## Go back"}


def repairs() -> dict[str, list[Repair]]:
    """Each module of repairs and what it declares."""
    found = {}
    for module in pkgutil.iter_modules(opsfix.repairs.__path__):
        if not module.name.endswith("_common"):
            content = vars(importlib.import_module(f"opsfix.repairs.{module.name}"))
            found[module.name] = list(content.get("REPAIRS") or [content["REPAIR"]])
    return found


REPAIRS = repairs()


def runbook(module: str) -> str:
    return (ROOT / "runbooks" / f"{module}.md").read_text()


def of_command(module: str) -> str:
    """The runbook of the command that a repair belongs to."""
    return runbook(COMMANDS[module.partition("_")[0]])


def longest_piece(sentence: str) -> str:
    """The longest part of a sentence that names no fact."""
    return max(re.split(r"\{\w+\}", sentence), key=len).strip()


def refusals() -> list[tuple[str, str]]:
    """Module and sentence of everything that a repair may refuse."""
    found = set()
    for module, declared in REPAIRS.items():
        for repair in declared:
            guards: tuple[Guard, ...] = repair.only_if + (repair.fallback.only_if if repair.fallback else ())
            sentences = [g.advice for g in guards if g.advice] + [s for s in (repair.refused, repair.loses) if s]
            found.update((module, sentence) for sentence in sentences)
    return sorted(found)


def test_every_repair_has_a_runbook_and_every_runbook_a_repair() -> None:
    assert {path.stem for path in RUNBOOKS} == set(REPAIRS) | OF_COMMANDS


@pytest.mark.parametrize("module", REPAIRS)
def test_a_runbook_names_its_symptom(module: str) -> None:
    [symptom] = {repair.symptom for repair in REPAIRS[module]}
    assert runbook(module).startswith(f"# {symptom}\n")
    assert symptom.replace("-", "_") == module


@pytest.mark.parametrize("module", REPAIRS)
def test_a_runbook_has_its_sections(module: str) -> None:
    assert set(runbook(module).splitlines()) >= HEADINGS


@pytest.mark.parametrize("module", REPAIRS)
def test_a_runbook_says_what_the_report_says(module: str) -> None:
    for repair in REPAIRS[module]:
        means = re.split(r"(?<=volume is) ", longest_piece(repair.means))
        assert all(word in flat(runbook(module)) for word in means), repair.means


@pytest.mark.parametrize(("module", "sentence"), refusals())
def test_a_refusal_is_in_the_runbook(module: str, sentence: str) -> None:
    assert longest_piece(sentence) in flat(runbook(module)) + flat(of_command(module))


@pytest.mark.parametrize("module", REPAIRS)
def test_a_runbook_names_its_sql_and_no_other(module: str) -> None:
    declared = {f"sql/{repair.fallback.sql}.sql" for repair in REPAIRS[module] if repair.fallback}
    assert set(re.findall(r"sql/[\w.]+\.sql", runbook(module))) == declared
    assert all((ROOT / path).is_file() for path in declared)
    if not declared:
        assert re.search(r"\bno SQL\b", flat(runbook(module)))


@pytest.mark.parametrize("kind", COMMANDS)
def test_the_table_of_states_lists_every_repair(kind: str) -> None:
    rows = [row[0] for row in table(runbook(COMMANDS[kind]), "finding")]
    assert sorted(rows) == sorted(f"[{m.replace('_', '-')}]({m}.md)" for m in REPAIRS if m.startswith(f"{kind}_"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_files_of_the_tree_that_are_named_exist(path: Path) -> None:
    for span in spans(path.read_text()):
        if re.fullmatch(r"(sql|runbooks|tools|lab|tests)/[\w./-]+", span):
            assert (ROOT / span).exists(), span


@pytest.mark.parametrize("path", [*DOCUMENTS, ROOT / "CHANGELOG.md", ROOT / "tools" / "rehearse"], ids=name)
def test_nothing_speaks_of_what_a_reader_cannot_have(path: Path) -> None:
    text = path.read_text()
    assert re.findall(r"/work\b|\bshared/|\bissues? #?\d|(?<!\w)#\d+\b|/tmp/|\bTODO\b", text) == []


def test_the_transcript_is_marked_where_lines_are_left_out() -> None:
    assert "[...]" in README.read_text()


@pytest.mark.parametrize("path", RUNBOOKS, ids=name)
def test_a_runbook_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= (60 if path.stem not in OF_COMMANDS else 120)
