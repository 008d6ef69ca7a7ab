"""A proxy in front of the lab's services that fails as networks and services do, at a chosen request."""

from __future__ import annotations

import http.client
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

#: What concerns one connection, not the message.
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "accept-encoding", "host"}


@dataclass(frozen=True)
class Answer:
    """What a service answered, or what is said in its place."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


#: Takes the request's handler and a way to ask the service; None ends the connection without an answer.
Fault = Callable[["Handler", Callable[[], Answer]], "Answer | None"]


@dataclass
class Rule:
    """A fault for the requests whose 'METHOD PATH?QUERY' matches, after the first ``skip``; ``times`` None: all of them."""

    pattern: str
    fault: Fault
    times: int | None = 1
    skip: int = 0
    met: int = 0

    def takes(self, line: str) -> bool:
        """Whether it is this request's turn."""
        if not re.search(self.pattern, line):
            return False
        self.met += 1
        return self.met > self.skip and (self.times is None or self.met <= self.skip + self.times)


@dataclass
class Proxy:
    """``targets`` are the services by the first part of a path: compute -> http://127.0.0.1:8774."""

    targets: dict[str, str]
    port: int = 0
    rules: list[Rule] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault_for(self, line: str) -> Fault | None:
        """The fault of a request; each is also remembered."""
        with self.lock:
            self.seen.append(line)
            return next((r.fault for r in self.rules if r.takes(line)), None)


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Any method."""
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        _, service, rest = self.path.split("/", 2)
        target = urlsplit(self.proxy.targets[service])

        def ask() -> Answer:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
            connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
            connection.request(self.command, f"{target.path.rstrip('/')}/{rest}", body, headers)
            answer = connection.getresponse()
            kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in HOP]
            return Answer(answer.status, kept, answer.read())

        fault = self.proxy.fault_for(f"{self.command} {self.path}")
        said = fault(self, ask) if fault else ask()
        if said is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(said.status)
        for key, value in said.headers:
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(said.body)))
        self.end_headers()
        self.wfile.write(said.body)

    do_POST = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815


@contextmanager
def proxying(targets: dict[str, str]) -> Iterator[Proxy]:
    """A running proxy."""
    proxy = Proxy(targets)
    handler = type("Handler", (Handler,), {"proxy": proxy})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    proxy.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def status(code: int, body: bytes = b"<html>Bad Gateway</html>", **headers: str) -> Fault:
    """An answer in place of the service's, which is not asked."""
    given = [(k.replace("_", "-"), v) for k, v in headers.items()]
    return lambda *_: Answer(code, given, body)


def acted(fault: Fault) -> Fault:
    """The service does it, and then the fault."""

    def do(handler: Handler, ask: Callable[[], Answer]) -> Answer | None:
        ask()
        return fault(handler, ask)

    return do


def silence(handler: Handler, _: Callable[[], Answer]) -> None:
    """No answer until the client has given up."""
    handler.proxy.released.wait(30)


def cut(*_: Any) -> None:
    """The connection ends before an answer."""


def short(handler: Handler, ask: Callable[[], Answer]) -> None:
    """The connection ends in the middle of the body."""
    answer = ask()
    handler.send_response(answer.status)
    for key, value in answer.headers:
        handler.send_header(key, value)
    handler.send_header("Content-Length", str(len(answer.body)))
    handler.end_headers()
    handler.wfile.write(answer.body[: len(answer.body) // 2])


def other(body: bytes) -> Fault:
    """The service's own answer with another body."""

    def do(_: Handler, ask: Callable[[], Answer]) -> Answer:
        answer = ask()
        return Answer(answer.status, answer.headers, body)

    return do
