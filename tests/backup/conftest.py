"""Servers and directories for the tests of backups."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.backup.server import Ran, Server, make_template, opsfix, running


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory to copy servers from."""
    return make_template(tmp_path_factory.mktemp("mariadb"))


@pytest.fixture(scope="session")
def server(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of all tests that do it no harm."""
    with running(template, tmp_path_factory.mktemp("server")) as found:
        yield found


@pytest.fixture
def own_server(template: Path, tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own."""
    with running(template, tmp_path / "own") as found:
        yield found


@dataclass
class Backups:
    """A directory of backups and the server that they are of."""

    server: Server
    root: Path

    def run(self, *arguments: object, timeout: float = 120, **environ: str) -> Ran:
        """``opsfix db`` on this directory."""
        command, *rest = arguments
        return opsfix("db", command, "--dir", self.root, *rest, environ=self.server.environ(**environ), timeout=timeout)

    def take(self, *arguments: object, **environ: str) -> dict[str, Any]:
        """A backup that must succeed; its report."""
        done = self.run("backup", "-o", "json", *arguments, **environ)
        assert done.code == 0, done.err
        report: dict[str, Any] = json.loads(done.out)
        return report

    def names(self) -> list[str]:
        """What is in the directory under a name that is no dotted one."""
        return sorted(p.name for p in self.root.iterdir() if not p.name.startswith(".")) if self.root.exists() else []

    def manifest(self, name: str) -> dict[str, Any]:
        """A backup's manifest."""
        found: dict[str, Any] = json.loads((self.root / name / "manifest.json").read_text())
        return found

    def rubbish(self) -> list[str]:
        """Unfinished work that is left."""
        return sorted(p.name for p in self.root.iterdir() if p.is_dir() and p.name.startswith("."))


@pytest.fixture
def backups(server: Server, tmp_path: Path) -> Backups:
    """An empty directory, which is not there yet, for backups of the shared server."""
    return Backups(server, tmp_path / "backups")
