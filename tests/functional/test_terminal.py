"""On a terminal: what is destroyed is shown and asked for, progress is told, and a watch goes on until it is ended."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.functional.cloud import OPSFIX, Lab
from tests.kills import HEARING


@dataclass
class Terminal:
    """A command on a terminal of its own, and all that it has shown."""

    process: subprocess.Popen[bytes]
    fd: int
    shown: str = ""

    def until(self, words: str, times: int = 1, patience: float = 60) -> None:
        """Read until it has shown the words so often."""
        end = time.monotonic() + patience
        while self.shown.count(words) < times:
            assert select.select([self.fd], [], [], max(0.0, end - time.monotonic()))[0], f"not shown: {words!r} in {self.shown!r}"
            assert self._read(), f"it ended without {words!r}: {self.shown!r}"

    def _read(self) -> bool:
        try:
            found = os.read(self.fd, 65536)
        except OSError:  # the other end is closed
            return False
        self.shown += found.decode(errors="replace")
        return bool(found)

    def ended(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        return self.process.wait(60)


@contextmanager
def terminal(lab: Lab, *arguments: str) -> Iterator[Terminal]:
    """``opsfix ARGUMENTS`` on a terminal."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [*HEARING, OPSFIX, *arguments], env=lab.environ | {"TERM": "xterm", "COLUMNS": "120"}, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.fixture
def image(cloud: Lab) -> Iterator[str]:
    """One to which nobody ever uploads anything."""
    made = cloud.api.image.post("/images", json={"name": "aldrig", "disk_format": "raw", "container_format": "bare"}).json()["id"]
    yield made
    cloud.api.image.delete_image(made, ignore_missing=True)


@pytest.mark.parametrize(("answer", "code", "left"), [("n", 3, True), ("y", 0, False)])
def test_what_is_destroyed_is_shown_and_asked_for(cloud: Lab, image: str, answer: str, code: int, left: bool) -> None:
    with terminal(cloud, "image", "purge", image, "--older-than", "0s") as shown:
        shown.until("Do this? [y/N]")
        assert f"glance: delete image {image}" in shown.shown
        assert cloud.api.image.find_image(image) is not None
        os.write(shown.fd, f"{answer}\n".encode())
        assert shown.ended() == code, shown.shown
    assert (cloud.api.image.find_image(image) is not None) == left


def test_a_watch_looks_again_and_again_until_it_is_ended(cloud: Lab) -> None:
    with terminal(cloud, "doctor", "--only", "services", "--watch", "1s") as shown:
        shown.until("Ctrl-C ends it", times=2)
        assert shown.shown.count("Nothing is broken.") == 2
        shown.process.send_signal(signal.SIGINT)
        assert shown.ended() == 130, shown.shown


def test_what_takes_long_tells_how_far_it_is(cloud: Lab, image: str) -> None:
    with terminal(cloud, "doctor", "--only", "services", "--only", "images") as shown:  # the image is looked at twice
        assert shown.ended() == 3
    assert "checks: 2 of 2" in shown.shown
    assert "image-stuck" in shown.shown
