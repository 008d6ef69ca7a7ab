"""Listings that services cut into pages, each in its own way."""

from typing import Any

import pytest

from opsfix.errors import CloudUnknown
from opsfix.gateways.cloud import OpenStackCloud


class Answers(OpenStackCloud):
    """Services that limit a page to ``longest`` rows; cinder names a next page of volumes, never of attachments."""

    def __init__(self, rows: int, longest: int):
        super().__init__()
        self.rows, self.longest, self.asked = rows, longest, 0

    def _body(self, service: str, path: str, query: dict[str, Any]) -> Any:
        self.asked += 1
        key = path.strip("/").split("/")[0]
        begin = int(query["marker"]) + 1 if "marker" in query else 0
        end = min(begin + min(self.longest, query["limit"]), self.rows)
        page = [
            {"id": str(n), "volume_id": "v", "status": "available", "instance": None, "name": "n"} for n in range(begin, end)
        ]
        more = key != "attachments" and end < self.rows
        return {key: page} | ({f"{key}_links": [{"rel": "next", "href": "x"}]} if more else {})


@pytest.mark.parametrize("longest", [7, 500, 1000])
@pytest.mark.parametrize("rows", [0, 1, 999, 1000, 1001, 2500])
@pytest.mark.parametrize("listing", ["volumes", "attachments", "servers"])
def test_a_listing_is_whole_whatever_the_page(listing: str, rows: int, longest: int) -> None:
    cloud = Answers(rows, longest)
    assert [r.id for r in getattr(cloud, listing)()] == [str(n) for n in range(rows)]


class Stuck(Answers):
    """A service, or a cache before it, that answers every page with the first."""

    def _body(self, service: str, path: str, query: dict[str, Any]) -> Any:
        return super()._body(service, path, {k: v for k, v in query.items() if k != "marker"})


@pytest.mark.parametrize("listing", ["volumes", "attachments", "servers"])
def test_a_page_that_comes_twice_is_no_whole_listing(listing: str) -> None:
    with pytest.raises(CloudUnknown, match="the same page twice"):
        list(getattr(Stuck(2500, 1000), listing)())


def test_the_few_attachments_of_one_volume_take_one_request() -> None:
    cloud = Answers(2, 1000)
    assert len(list(cloud.attachments(volume_id="v"))) == 2
    assert cloud.asked == 1


def test_many_attachments_of_one_volume_are_all_read() -> None:
    assert len(list(Answers(1200, 1000).attachments(volume_id="v"))) == 1200
