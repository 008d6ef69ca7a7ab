"""The rehearsal's own judgement: it must not call a cloud repaired that is not."""

import importlib.util
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

import pytest

from tests.docs.documents import ROOT


def volume(name: str, status: str, *used: str) -> dict[str, Any]:
    attachments, mappings = [(a, "attached") for a in used], [(a,) for a in used]
    return {"name": name, "status": status, "updated": "1", "attachments": attachments, "mappings": mappings}


BEFORE = {
    "stuck": volume("s", "detaching", "a"),
    "leaving": volume("l", "error_deleting"),
    "healthy": volume("h", "in-use", "b"),
}
AFTER = {"stuck": volume("s", "available"), "healthy": BEFORE["healthy"]}
BROKEN = {"stuck": "available", "leaving": "deleted"}


@pytest.fixture(scope="module")
def rehearse() -> ModuleType:
    loader = SourceFileLoader("rehearse", str(ROOT / "tools" / "rehearse"))
    spec = importlib.util.spec_from_loader("rehearse", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_a_repaired_cloud_is_right(rehearse: ModuleType) -> None:
    assert rehearse.wrong(BEFORE, AFTER, BROKEN, {"healthy"}) == []


@pytest.mark.parametrize(
    "change",
    [
        {"stuck": BEFORE["stuck"]},
        {"stuck": AFTER["stuck"] | {"mappings": [("a",)]}},
        {"stuck": AFTER["stuck"] | {"attachments": [("a", "attached")]}},
        {"leaving": BEFORE["leaving"]},
        {"healthy": BEFORE["healthy"] | {"status": "available"}},
        {"healthy": BEFORE["healthy"] | {"updated": "2"}},
        {"healthy": BEFORE["healthy"] | {"attachments": [("c", "attached")]}},
        {"healthy": None},
    ],
)
def test_a_cloud_that_is_not_repaired_is_wrong(rehearse: ModuleType, change: dict[str, Any]) -> None:
    after = {k: v for k, v in (AFTER | change).items() if v is not None}
    assert len(rehearse.wrong(BEFORE, after, BROKEN, {"healthy"})) == 1


def test_a_volume_that_vanished_is_not_available(rehearse: ModuleType) -> None:
    after = {"healthy": BEFORE["healthy"]}
    assert rehearse.wrong(BEFORE, after, BROKEN, {"healthy"}) == ["s is deleted, not available"]


def test_six_volumes_are_broken_in_six_ways(rehearse: ModuleType) -> None:
    broken = [scene for scene in rehearse.SCENES if scene[3] is not None]
    assert len(broken) == len({state for state, *_ in broken}) == 6


def test_wide_letters_take_two_columns(rehearse: ModuleType) -> None:
    assert [rehearse.columns(text) for text in ("volume", "磁盘", "e\u0301")] == [6, 4, 1]
