"""What puts an API step back, and what puts that back: there and back again leaves everything as it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from opsfix import inverses
from opsfix.errors import CloudRefused
from opsfix.forwarding.changes import fields
from opsfix.resources import Aggregate, Service
from opsfix.steps import Call, Course
from tests.fakes.cloud import FakeCloud
from tests.fakes.forwarding import FakeNeutron
from tests.fakes.hosts import HostCloud


def sent(inverse: Mapping[str, Any], cloud: Any, made: Mapping[str, str] | None = None) -> tuple[Call, Course]:
    """The call for an inverse, and how it went."""
    call = inverses.call(inverse, made or {})
    assert call is not None
    course = Course(0.0)
    call.send(cloud, course)
    return call, course


def hosts() -> HostCloud:
    cloud = HostCloud()
    cloud.add_compute("gpu-1")
    cloud.groups = [Aggregate(7, "fast", ("gpu-2",))]
    cloud.volume_rows = [Service("cinder-volume", "store@lvm", "down")]
    return cloud


def picture(cloud: HostCloud) -> object:
    services = [(s.host, s.status, s.forced_down) for s in cloud.services]
    return services, cloud.groups, [(s.host, s.status) for s in cloud.volume_rows]


@pytest.mark.parametrize(
    "inverse",
    [
        {"disable_compute": {"service": "service-0", "host": "gpu-1"}},
        {"force_down": {"service": "service-0", "host": "gpu-1"}},
        {"join_aggregate": {"aggregate": 7, "host": "gpu-1"}},
        {"disable_volume_service": {"binary": "cinder-volume", "host": "store@lvm"}},
    ],
    ids=lambda inverse: next(iter(inverse)),
)
def test_a_host_is_as_it_was_after_there_and_back(inverse: Mapping[str, Any]) -> None:
    cloud = hosts()
    before = picture(cloud)
    there, _ = sent(inverse, cloud)
    assert picture(cloud) != before
    back, _ = sent(there.inverse or {}, cloud)
    assert picture(cloud) == before
    assert back.inverse == inverse


def test_a_forwarding_returns_and_goes_again() -> None:
    neutron = FakeNeutron()
    neutron.add_router("router", "subnet", "10.0.0.1")
    fip = neutron.add_fip(1)
    port = neutron.add_port("port", "10.0.0.7")
    row = neutron.add_row(fip, port, 60122, 22)
    cloud = type("Cloud", (), {"network": neutron})()
    kept = fields(row)
    _, _ = sent({"delete_port_forwarding": kept}, cloud, {"port_forwarding": row.id})
    assert neutron.forwardings(fip.id) == []
    _, course = sent({"create_port_forwarding": kept}, cloud)
    [again] = neutron.forwardings(fip.id)
    assert (again.external, again.internal, again.address) == (row.external, row.internal, row.address)
    assert course.made == {"port_forwarding": again.id}


def test_an_attachment_returns_under_a_new_id() -> None:
    cloud = FakeCloud()
    volume, server = cloud.add_volume(), cloud.add_server()
    call, course = sent({"create_attachment": {"volume": volume, "server": server, "attached": True}}, cloud)
    assert cloud.volume(volume).status == "in-use"  # type: ignore[union-attr]
    sent(call.inverse or {}, cloud, course.made)
    assert cloud.volume(volume).status == "available"  # type: ignore[union-attr]
    sent(call.inverse or {}, cloud, course.made)  # it is gone already, which is as well


def test_a_reset_is_taken_back_only_while_it_holds() -> None:
    cloud = FakeCloud()
    volume = cloud.add_volume(status="available")
    inverse = {"reset_volume": {"volume": volume, "status": "detaching", "attach_status": "detached", "left": "available"}}
    call, _ = sent(inverse, cloud)
    assert cloud.volume(volume).status == "detaching"  # type: ignore[union-attr]
    with pytest.raises(CloudRefused, match="left available, now detaching"):
        sent(inverse, cloud)
    sent(call.inverse or {}, cloud)
    assert cloud.volume(volume).status == "available"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "inverse", [{"reset_volume": {"volume": "none", "status": "x", "attach_status": "y", "left": "z"}},
                {"reset_server": {"server": "none", "state": "error", "left": "active"}}],
)
def test_what_is_gone_is_not_reset(inverse: Mapping[str, Any]) -> None:
    with pytest.raises(CloudRefused, match="is gone"):
        sent(inverse, FakeCloud())


def test_a_name_of_another_release_is_not_known() -> None:
    assert inverses.call({"turn_back_time": {}}, {}) is None
