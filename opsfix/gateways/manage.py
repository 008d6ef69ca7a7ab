"""The services' own management commands on this host."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from opsfix.config import drop_ins
from opsfix.errors import CloudRefused, CloudUnknown

#: cron's PATH is short, and distributions put them in either place.
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


class Manage:
    """See ports.Manage. ``files`` maps a service to its own file, where opsfix has its database from: only then is the
    database of the command the one that was proven to be behind the API. ``seconds`` is what a command may take."""

    def __init__(self, files: Mapping[str, Path], *, seconds: float = 300.0):
        self._files, self._seconds = files, seconds
        self._discovered: dict[bool, CloudRefused | CloudUnknown | None] = {}
        self._lock = threading.Lock()

    def available(self, service: str) -> bool:
        """See ports.Manage."""
        return service in self._files and _found(service) is not None

    def remove_volume_service(self, binary: str, host: str) -> None:
        """See ports.Manage."""
        if binary.startswith("-") or host.startswith("-"):
            raise CloudRefused(0, f"cinder-manage would take {host!r} for an option")
        self._run("cinder", "service", "remove", binary, host)

    def discover_hosts(self, *, by_service: bool) -> None:
        """See ports.Manage. What it ended with counts for all that ask: one run finds every host."""
        with self._lock:
            if by_service not in self._discovered:
                try:
                    self._run("nova", "cell_v2", "discover_hosts", *(["--by-service"] if by_service else []))
                    self._discovered[by_service] = None
                except (CloudRefused, CloudUnknown) as e:
                    self._discovered[by_service] = e
            ended = self._discovered[by_service]
        if ended is not None:
            raise ended

    def _run(self, service: str, *arguments: str) -> None:
        """Raises CloudRefused with the command's last words, CloudUnknown when it did not come to an end."""
        path = _found(service)
        if path is None or service not in self._files:
            raise CloudRefused(0, f"there is no {service}-manage on this host")
        file = self._files[service]
        places = [f"--config-file={file}", *(f"--config-dir={d}" for d in drop_ins(file))]
        environ = {"PATH": f"{os.environ.get('PATH', '')}:{_PATH}", "LC_ALL": "C.UTF-8", "PYTHONWARNINGS": "ignore"}
        try:
            done = subprocess.run(
                [path, *places, *arguments], env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                errors="replace", timeout=self._seconds, check=False, cwd="/",
            )
        except subprocess.TimeoutExpired:
            raise CloudUnknown(f"{service}-manage did not end within {self._seconds:.0f} s") from None
        except OSError as e:
            raise CloudRefused(0, f"{path} cannot be started: {e.strerror}") from None
        if done.returncode:
            raise CloudRefused(0, f"{service}-manage exited {done.returncode}: {_last(done.stdout, done.stderr)}")


def _found(service: str) -> str | None:
    return shutil.which(f"{service}-manage", path=f"{os.environ.get('PATH', '')}:{_PATH}")


def _last(*outputs: str) -> str:
    """The last line that says something."""
    lines: Sequence[str] = [line.strip() for output in outputs for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
