"""keystone through openstacksdk: the names of projects."""

from __future__ import annotations

from typing import Any

from opsfix.gateways.calls import one, read
from opsfix.resources import Project


class Projects:
    """See ports.Projects."""

    def __init__(self, proxy: Any):
        self._proxy = proxy

    def named(self, name: str) -> list[Project]:
        """See ports.Projects."""
        return read(lambda: [_project(p) for p in self._proxy.projects(name=name) if p.name == name])

    def project(self, project_id: str) -> Project | None:
        """See ports.Projects."""
        return one(lambda: _project(self._proxy.get_project(project_id)))


def _project(p: Any) -> Project:
    return Project(id=p.id, name=p.name or "", domain_id=p.domain_id)
