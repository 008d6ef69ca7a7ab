"""glance's listings as it cuts them into pages; names and stores as it tells them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from opsfix.errors import CloudUnknown
from opsfix.gateways.images import Images


def answer(body: Any, status: int = 200) -> requests.Response:
    """What a service says."""
    said = requests.Response()
    said.status_code, said._content, said.url = status, json.dumps(body).encode(), "http://glance/v2"
    said.headers["content-type"] = "application/json"
    said.request = requests.Request("GET", said.url).prepare()
    return said


class Glance:
    """A glance with so many visible and hidden images, which limits a page to ``longest``. ``stores`` maps a path to what
    it answers; ``asked`` are the queries."""

    def __init__(self, visible: int, hidden: int, longest: int = 1000):
        self.rows = {"false": [f"v{n:04}" for n in range(visible)], "true": [f"h{n:04}" for n in range(hidden)]}
        self.longest = longest
        self.stores: dict[str, requests.Response] = {}
        self.asked: list[dict[str, Any]] = []

    def get(self, path: str, *, params: dict[str, Any]) -> requests.Response:
        """One page, or what ``stores`` has."""
        if path in self.stores:
            return self.stores[path]
        self.asked.append(dict(params))
        assert params["visibility"] == "all"
        ids = self.rows[params["os_hidden"]]
        begin = ids.index(params["marker"]) + 1 if "marker" in params else 0
        page = ids[begin:begin + min(self.longest, params["limit"])]
        more = begin + len(page) < len(ids)
        images = [{"id": i, "name": f"name of {i}", "status": "active", "visibility": "private", "os": "debian"} for i in page]
        return answer({"images": images} | ({"next": f"/v2/images?marker={page[-1]}"} if more else {}))


@pytest.mark.parametrize("longest", [7, 1000])
@pytest.mark.parametrize(("visible", "hidden"), [(0, 0), (1, 0), (0, 3), (999, 1), (1000, 1000), (1001, 8)])
def test_a_listing_is_whole_whatever_the_page(visible: int, hidden: int, longest: int) -> None:
    glance = Glance(visible, hidden, longest)
    assert [i.id for i in Images(glance).images()] == glance.rows["false"] + glance.rows["true"]


def test_half_a_listing_never_looks_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    glance = Glance(20, 0, 7)
    real = glance.get

    def fails(path: str, *, params: dict[str, Any]) -> requests.Response:
        return answer({}, 500) if "marker" in params else real(path, params=params)

    monkeypatch.setattr(glance, "get", fails)
    with pytest.raises(CloudUnknown, match=r"HTTP 500"):
        list(Images(glance).images())


@pytest.mark.parametrize(("name", "sent"), [("name of v0001", True), ("in:name of v0001", False), ("🐧", False), ("v0001", True)])
def test_names_are_compared_exactly_and_asked_for_only_where_glance_can(name: str, sent: bool) -> None:
    glance = Glance(3, 3)
    found = [i.id for i in Images(glance).images(name=name)]
    assert found == (["v0001"] if name == "name of v0001" else [])
    assert {query.get("name") for query in glance.asked} == {name if sent else None}


def test_what_is_not_glances_own_is_a_property() -> None:
    [image] = Images(Glance(1, 0)).images()
    assert image.properties == {"os": "debian"}


DETAIL = {"stores": [{"id": "fs", "properties": {"data_dir": "/images"}}, {"id": "ceph", "properties": {"pool": "images", "chunk_size": 8}},
                     {"id": "web", "properties": {}}]}


@pytest.mark.parametrize("status", [403, 404])
def test_stores_tell_their_places_where_they_do(status: int) -> None:
    glance = Glance(0, 0)
    glance.stores = {"/info/stores/detail": answer(DETAIL)}
    assert {s.id: s.place for s in Images(glance).stores()} == {"fs": "data_dir /images", "ceph": "pool images", "web": None}
    glance.stores = {"/info/stores/detail": answer({}, status), "/info/stores": answer({"stores": [{"id": "fs"}]})}
    assert [(s.id, s.place) for s in Images(glance).stores()] == [("fs", None)]
    glance.stores = dict.fromkeys(("/info/stores/detail", "/info/stores"), answer({}, 404))
    assert Images(glance).stores() == []
