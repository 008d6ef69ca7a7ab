"""A process that is killed at a chosen point, for tests of what is left behind.

The services and their databases live on in the parent, as they do when opsfix dies; the child is opsfix. Points are
counted, not timed: each journal write and each call, before it and after it.
"""

from __future__ import annotations

import copyreg
import os
import pickle
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

from opsfix.errors import CloudRefused


def _refusal(status: int, text: str) -> CloudRefused:
    made = CloudRefused(0, text)
    made.status = status
    return made


copyreg.pickle(CloudRefused, lambda e: (_refusal, (e.status, str(e))))  # type: ignore[arg-type]
#: Starts a program that hears every signal: whoever runs the tests may ignore some, as nohup does.
HEARING = ("env", "--default-signal=HUP,INT,TERM")
#: A child that gets further than this has not been counted right.
MOST = 2000


class Points:
    """Counts what a process passes, and ends it with SIGKILL at one of them."""

    def __init__(self, deadly: int):
        self.deadly, self.passed = deadly, 0

    def __call__(self) -> None:
        self.passed += 1
        if self.passed == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)


def killed_at(point: int, child: Callable[[Points], None], parent: Callable[[], None] = lambda: None) -> bool:
    """Run ``child`` in a process of its own, killed at a point, ``parent`` beside it; whether it was killed.

    A child that fails is an error of the test.
    """
    pid = os.fork()
    if pid == 0:
        code = 9
        try:
            child(Points(point))
            code = 0
        finally:
            os._exit(code)
    parent()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the child failed: see its stderr"
    return False


def every_point(child: Callable[[int], bool]) -> int:
    """Call ``child`` with 1, 2, 3, ... until it is no longer killed; how many points there were."""
    for point in range(1, MOST):
        if not child(point):
            return point - 1
    raise AssertionError(f"more than {MOST} points")


def _send(pipe: socket.socket, message: Any) -> None:
    data = pickle.dumps(message)
    pipe.sendall(struct.pack("!I", len(data)) + data)


def _receive(pipe: socket.socket) -> Any:
    """The next message; raises EOFError when the other side is gone."""
    size = struct.unpack("!I", _exactly(pipe, 4))[0]
    return pickle.loads(_exactly(pipe, size))


def _exactly(pipe: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        try:
            more = pipe.recv(size - len(data))
        except ConnectionResetError:
            more = b""
        if not more:
            raise EOFError
        data += more
    return data


class Remote:
    """What the child holds in place of an object of the parent: each call goes there and back, a point before and after.

    A callable among the arguments stays in the child and is called from the parent.
    """

    def __init__(self, pipe: socket.socket, point: Points, path: tuple[str, ...], plain: frozenset[str]):
        self._pipe, self._point, self._path, self._plain = pipe, point, path, plain

    def __getattr__(self, name: str) -> Any:
        if name in self._plain:
            return Remote(self._pipe, self._point, (*self._path, name), self._plain)
        if name == "identity":
            return "fake"
        return lambda *args, **kwargs: self._call(name, args, kwargs)

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        mine = [a for a in args if callable(a)]
        self._point()
        _send(self._pipe, ((*self._path, name), [("callable",) if callable(a) else ("value", a) for a in args], kwargs))
        while True:
            kind, content = _receive(self._pipe)
            if kind != "callback":
                break
            mine[0](content[0], **content[1])
            _send(self._pipe, "done")
        self._point()
        if kind == "raised":
            raise content
        return iter(content[1]) if content[0] == "iterator" else content[1]


def serve(pipe: socket.socket, objects: dict[str, Any]) -> None:
    """Answer a child's calls until it is gone."""
    try:
        while True:
            path, args, kwargs = _receive(pipe)
            _send(pipe, _answer(pipe, objects, path, args, kwargs))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pipe.close()


def _answer(pipe: socket.socket, objects: dict[str, Any], path: tuple[str, ...], args: list[Any], kwargs: Any) -> Any:
    found = objects[path[0]]
    for name in path[1:]:
        found = getattr(found, name)

    def back(event: str, /, **data: Any) -> None:
        _send(pipe, ("callback", (event, data)))
        _receive(pipe)

    try:
        result = found(*(back if a == ("callable",) else a[1] for a in args), **kwargs)
    except EOFError:
        raise
    except Exception as e:  # noqa: BLE001  whatever it was goes to the child
        return "raised", e
    return "answer", ("iterator", list(result)) if isinstance(result, Iterator) else ("value", result)
