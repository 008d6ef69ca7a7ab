"""An HTTP proxy that notes every request: what a client really sends, headers and bodies included."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP = {"connection", "proxy-connection", "keep-alive", "transfer-encoding", "host", "content-length", "accept-encoding"}


@dataclass
class Sent:
    """One request, as a raw client needs it to send the same."""

    method: str
    url: str
    headers: dict[str, str]
    body: str


@dataclass
class Recording:
    """What went through, in the order of arrival."""

    address: str
    sent: list[Sent] = field(default_factory=list)

    def environ(self) -> dict[str, str]:
        """The variables that send a client through the proxy."""
        return {"http_proxy": self.address, "HTTP_PROXY": self.address, "no_proxy": "", "NO_PROXY": ""}

    def of(self, name: str) -> list[Sent]:
        """The requests that name a thing in their address."""
        return [s for s in self.sent if name in s.url]


@contextmanager
def recording() -> Iterator[Recording]:
    """A running proxy, on a port that the system chooses."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    found = Recording(f"http://127.0.0.1:{server.server_address[1]}")
    server.recording = found  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
        self.server.recording.sent.append(Sent(self.command, self.path, headers, body.decode()))  # type: ignore[attr-defined]
        url = urlsplit(self.path)
        upstream = http.client.HTTPConnection(url.hostname or "", url.port or 80, timeout=120)
        upstream.request(self.command, url._replace(scheme="", netloc="").geturl(), body or None, headers)
        answer = upstream.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP | {"server", "date"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        upstream.close()

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _pass_on  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""
