"""Which volumes both sides disagree on, from listings alone."""

from __future__ import annotations

import pytest

from opsfix.errors import CloudUnknown
from opsfix.mismatches import every_mapping, mismatched_volumes, mismatches
from opsfix.resources import Attachment, Mapping
from opsfix.scene import Scene
from tests.fakes.cloud import FakeCloud
from tests.fakes.databases import FakeDatabases


def test_agreement_yields_nothing() -> None:
    attachments = [Attachment("a", "v", "attached", "s"), Attachment("b", "v", "attached", "t"), Attachment("c", "w", "attached")]
    mappings = [Mapping("s", "v", "a"), Mapping("t", "v", "b"), Mapping("s", "old", None)]
    assert list(mismatches(attachments, mappings)) == []


def test_each_disagreement_has_its_finding() -> None:
    attachments = [Attachment("a", "twice", "attached", "s"), Attachment("b", "orphan", "attached", "s")]
    mappings = [Mapping("s", "twice", "a"), Mapping("s", "twice", "a"), Mapping("s", "lost", "x")]
    assert list(mismatches(attachments, mappings)) == [
        ("lost", "volume-mapping-dangling"), ("twice", "mapping-duplicate"), ("orphan", "volume-attachment-orphaned"),
    ]


@pytest.mark.parametrize("names", [(), ("cinder",), ("nova_api", "nova"), ("cinder", "nova_api", "nova")])
def test_whichever_databases_are_there_the_same_is_found(cloud: FakeCloud, names: tuple[str, ...]) -> None:
    for _ in range(3):
        cloud.attached()
    lost, server = cloud.attached()
    cloud.drop_attachment(cloud.world.volumes[lost].live[0].id)
    orphan, gone = cloud.attached()
    cloud.lose_server(gone)
    scene = Scene(cloud, FakeDatabases(cloud, names) if names else None)
    assert mismatched_volumes(scene) == {lost, orphan}
    assert scene.mapped[lost] == {server}


@pytest.mark.parametrize("databases", [True, False])
def test_a_cell_that_is_down_hides_no_mapping(cloud: FakeCloud, databases: bool) -> None:
    cloud.attached()
    cloud.cell_down()
    with pytest.raises(CloudUnknown):
        list(every_mapping(Scene(cloud, FakeDatabases(cloud) if databases else None)))
