"""A cloud whose complete listings are each read once and shared by all who ask; single resources are always read anew."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from opsfix.ports import Cloud, Network
from opsfix.resources import Attachment, Port, Server, Volume


class _Kept:
    """Listings by name; whoever asks for one that is being read waits for it. One that failed is read again."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[Any, ...]] = {}
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def read(self, name: str, listing: Callable[[], Iterator[Any]]) -> tuple[Any, ...]:
        with self._locks[name]:
            if name not in self._found:
                self._found[name] = tuple(listing())
            return self._found[name]


class SharedNetwork:
    """ports.Network, its ports listed once."""

    def __init__(self, network: Network, kept: _Kept):
        self._network, self._kept = network, kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def ports(self, **asked: Any) -> Iterator[Port]:
        """See ports.Network."""
        if any(v is not None for v in asked.values()):
            return self._network.ports(**asked)
        return iter(self._kept.read("ports", self._network.ports))


class Shared:
    """ports.Cloud, its servers, volumes, attachments and ports listed once."""

    def __init__(self, cloud: Cloud):
        self._cloud, self._kept = cloud, _Kept()

    @property
    def network(self) -> SharedNetwork:
        """See ports.Cloud. Only who asks for it hears that neutron does not answer."""
        return SharedNetwork(self._cloud.network, self._kept)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cloud, name)

    def servers(self, **asked: Any) -> Iterator[Server]:
        """See ports.Cloud."""
        if any(v is not None for v in asked.values()):
            return self._cloud.servers(**asked)
        return iter(self._kept.read("servers", self._cloud.servers))

    def volumes(self, *, status: str | None = None, name: str | None = None) -> Iterator[Volume]:
        """See ports.Cloud. Those of a status are picked from the whole listing."""
        if name is not None:
            return self._cloud.volumes(status=status, name=name)
        return (v for v in self._kept.read("volumes", self._cloud.volumes) if status in (None, v.status))

    def attachments(self, **asked: Any) -> Iterator[Attachment]:
        """See ports.Cloud."""
        if any(v is not None for v in asked.values()):
            return self._cloud.attachments(**asked)
        return iter(self._kept.read("attachments", self._cloud.attachments))
