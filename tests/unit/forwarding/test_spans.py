"""Ports and ranges as text, and where they overlap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsfix.errors import UsageError
from opsfix.forwarding.spans import collisions, inside, outside, overlap, pair, said, span
from opsfix.resources import PortForwarding, Span


@pytest.mark.parametrize(("text", "expected"), [
    ("60122:22", ((60122, 60122), (22, 22))),
    ("6000-6010:7000-7010", ((6000, 6010), (7000, 7010))),
    ("6000-6010:7000", ((6000, 6010), (7000, 7000))),
    ("1:65535", ((1, 1), (65535, 65535))),
    (" 80 : 8080 ", ((80, 80), (8080, 8080))),
])
def test_ports_are_read(text: str, expected: tuple[Span, Span]) -> None:
    assert pair(text) == expected


@pytest.mark.parametrize("text", [
    "60122", "", ":", "0:22", "22:0", "65536:22", "6010-6000:22", "a:b", "1:2:3", "6000-6010:7000-7005", "80:7000-7001",
    "-1:22", "٣:22", "1e3:22", "1-:2", "999999:1",
])
def test_what_cannot_be_meant_is_told_in_one_line(text: str) -> None:
    with pytest.raises(UsageError) as told:
        pair(text)
    assert "\n" not in str(told.value)


@given(st.integers(1, 65535), st.integers(0, 50))
def test_text_and_span_are_inverse(first: int, more: int) -> None:
    ports = (first, min(first + more, 65535))
    assert span(said(ports)) == ports


def forwarding(n: int, external: Span, fip: str = "f", protocol: str = "tcp") -> PortForwarding:
    return PortForwarding(str(n), fip, protocol, external, (n + 1, n + 1), "p", "10.0.0.5")


SPANS = st.tuples(st.integers(1, 40), st.integers(0, 9)).map(lambda s: (s[0], s[0] + s[1]))


@given(st.lists(st.tuples(SPANS, st.sampled_from("fg"), st.sampled_from(["tcp", "udp"])), max_size=12))
def test_a_collision_is_found_where_there_is_one(drawn: list[tuple[Span, str, str]]) -> None:
    made = [forwarding(n, *each) for n, each in enumerate(drawn)]
    found = collisions(made, outside)
    truth = {
        (a.id, b.id) for a in made for b in made
        if a is not b and outside(a)[0] == outside(b)[0] and overlap(a.external, b.external)
    }
    assert {(a.id, b.id) for a, b in found} <= truth
    left = [f for f in made if f.id not in {a.id for a, _ in found}]
    assert not [1 for a in left for b in left if (a.id, b.id) in truth], "without those found there is none"


def test_one_place_inside_is_led_to_once_whatever_the_floating_ip() -> None:
    a, b = PortForwarding("a", "f", "tcp", (1, 1), (22, 22), "p", "x"), PortForwarding("b", "g", "tcp", (2, 2), (22, 22), "p", "x")
    assert [(x.id, y.id) for x, y in collisions([a, b], inside)] == [("b", "a")]
    assert collisions([a, b], outside) == []
