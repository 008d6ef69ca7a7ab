"""Runs the engine over a fake cloud as ``image purge`` does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from opsfix.engine.run import Run
from opsfix.images import Images
from opsfix.model import Item, Mode
from opsfix.repairs import IMAGE_PURGE
from opsfix.scene import Scene
from tests.fakes.glance import ImageCloud, ImageDatabases

AGE = timedelta(minutes=15)


def purge(
    cloud: ImageCloud, image: str, mode: Mode = Mode.APPLY, *, databases: ImageDatabases | bool = True,
    unprotect: bool = False, older_than: timedelta = AGE,
) -> Item:
    """One image's item."""
    found = ImageDatabases(cloud) if databases is True else databases or None
    scene = Scene(cloud, found, older_than=older_than, deadline=0.3)
    subject = Images(unprotect=unprotect)
    run = Run(subject, IMAGE_PURGE, scene, mode, lambda _: lambda *_, **__: None, workers=1, staged=True)
    (item,) = run.find_and_repair([image], named=True)
    return item


def picture(cloud: ImageCloud) -> dict[str, Any]:
    """Every image as it is."""
    return {image: {**vars(row), "locations": [*row.locations]} for image, row in cloud.glance.rows.items()}


@contextmanager
def unchanged(cloud: ImageCloud) -> Iterator[None]:
    """Nothing is sent that changes anything, and nothing is changed."""
    before, sent = picture(cloud), len(cloud.faults.changes)
    yield
    assert cloud.faults.changes[sent:] == []
    assert picture(cloud) == before


def refused(cloud: ImageCloud, image: str, *says: str, **options: Any) -> Item:
    """No mode changes anything, and the reason says what stands in the way."""
    for mode in Mode:
        with unchanged(cloud):
            item = purge(cloud, image, mode, **options)
        assert (item.outcome, item.by) == ("refused", None), item.reason
        assert [words for words in says if words not in item.reason] == [], item.reason
    return item
