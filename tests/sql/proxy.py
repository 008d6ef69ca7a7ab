"""A proxy before MariaDB that knows where each of the client's commands begins, and can cut the connection there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

#: What becomes of a command: None passes; 'before' cuts the connection before the server has it, 'after' once the server
#: has answered, without the answer.
Fate = str | None


class Proxy:
    """``commands`` are all that came by, in their order; ``fate`` is asked for each; ``target`` for each connection."""

    def __init__(self, target: Callable[[], int]):
        self.target = target
        self.fate: Callable[[int, str], Fate] = lambda _number, _text: None
        self.commands: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def serve(self) -> None:
        """Until closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self.target()))
                except OSError:
                    client.close()
                    continue
                lost = threading.Event()
                for carry in (self._ask, self._answer):
                    threading.Thread(target=carry, args=(client, server, lost), daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _ask(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):
            while packet := _packet(client):
                fate = None
                if packet[3] == 0:  # a command begins; all else belongs to the log-in
                    text = packet[5:].decode(errors="replace") if packet[4] == 3 else f"command {packet[4]}"
                    fate = self.fate(len(self.commands), text)
                    self.commands.append(text)
                if fate == "before":
                    break
                if fate == "after":
                    lost.set()
                server.sendall(packet)
        if not lost.is_set():
            _end(client, server)

    def _answer(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if lost.is_set():
                    break
                client.sendall(data)
        _end(client, server)


@contextmanager
def proxy(target: Callable[[], int]) -> Iterator[Proxy]:
    """A running one, before the port that ``target`` names at each new connection."""
    made = Proxy(target)
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join()


def _packet(source: socket.socket) -> bytes:
    """One packet of the protocol: three bytes of length, its number, its load."""
    head = _exactly(source, 4)
    return head + _exactly(source, int.from_bytes(head[:3], "little")) if head else b""


def _exactly(source: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = source.recv(length - len(data))
        if not more:
            return b""
        data += more
    return data


def _end(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
