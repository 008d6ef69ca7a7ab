"""A proxy that spreads connections over two servers, as haproxy does when nobody told it to keep to one."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.backup.server import Server


@contextmanager
def spreading(one: Server, other: Server, program: str) -> Iterator[int]:
    """The port of a proxy that leads connections of the named program to the other server, all else to the first."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, (_, port) = listener.accept()
                server = other if _owner(port) == program else one
                backend = socket.create_connection(("127.0.0.1", server.port))
                for source, target in ((client, backend), (backend, client)):
                    threading.Thread(target=_carry, args=(source, target), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _owner(port: int) -> str:
    """The name of the program whose socket has this local port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{line[9]}]" for line in lines if int(line[1].rpartition(":")[2], 16) == port}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if any(os.readlink(fd) in inodes for fd in Path(f"/proc/{pid}/fd").iterdir()):
                return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""
