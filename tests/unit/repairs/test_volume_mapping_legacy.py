"""A mapping without an attachment id."""

import pytest

from tests.fakes.cloud import FakeCloud
from tests.unit.driving import assert_refused


@pytest.mark.parametrize("databases", [True, False])
@pytest.mark.parametrize("status", ["in-use", "available", "attaching", "detaching", "reserved"])
def test_it_is_refused(cloud: FakeCloud, status: str, databases: bool) -> None:
    volume, server = cloud.add_volume(status=status), cloud.add_server()
    cloud.add_mapping(server, volume, None)
    assert_refused(cloud, volume, "volume-mapping-legacy", "without an attachment id", server, databases=databases)
