"""Floating IPs, ports and a server to forward to, and what neutron's tables say of them."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pymysql

from tests.functional.cloud import Lab, Ran, wait_until

#: Whole rows, but for the standard attributes' times.
ROWS = (
    "SELECT p.*, f.floating_ip_address, f.router_id FROM portforwardings p JOIN floatingips f ON f.id = p.floatingip_id"
    " ORDER BY p.id"
)


@dataclass
class Edge:
    """What was made on the lab, all of it in admin's project; the last floating IP and the last port are bystanders."""

    lab: Lab
    server: str
    fips: list[Any] = field(default_factory=list)
    ports: list[Any] = field(default_factory=list)

    @property
    def addresses(self) -> list[str]:
        """The floating IPs as an operator names them."""
        return [f.floating_ip_address for f in self.fips]

    def inside(self, number: int) -> str:
        """The address of a port."""
        return str(self.ports[number].fixed_ips[0]["ip_address"])

    def port(self, name: str, network: str = "private", **more: Any) -> Any:
        """A port of the server, which the lab binds and calls ACTIVE at once."""
        net = self.lab.api.network
        bound = {"device_id": self.server, "device_owner": "compute:nova", "binding:host_id": "gpu-01"} | more
        answer = net.post("/ports", json={"port": {"network_id": net.find_network(network).id, "name": name, **bound}})
        assert answer.status_code == 201, answer.text
        return net.get_port(answer.json()["port"]["id"])

    def fip(self) -> Any:
        """A floating IP of the public network."""
        net = self.lab.api.network
        return net.create_ip(floating_network_id=net.find_network("public").id)

    def run(self, *arguments: str, form: str = "json", **environ: str) -> Ran:
        """``opsfix forward ... -o FORM``"""
        return self.lab.run("forward", *arguments, "-o", form, **environ)

    def rows(self) -> list[dict[str, Any]]:
        """Every forwarding in neutron's table, bystanders included."""
        return self.lab.rows("neutron", ROWS)

    def there(self, *numbers: int) -> list[tuple[Any, ...]]:
        """(floating IP, protocol, external, internal, address) of these floating IPs' rows, as the table has them."""
        wanted = {self.addresses[n] for n in numbers}
        return sorted(
            (r["floating_ip_address"], r["protocol"], r["external_port_start"], r["external_port_end"],
             r["internal_port_start"], r["internal_ip_address"])
            for r in self.rows() if r["floating_ip_address"] in wanted
        )

    def routers(self) -> dict[str, str | None]:
        """Floating IP -> the router that it is bound to."""
        return {r["floating_ip_address"]: r["router_id"] for r in self.lab.rows("neutron", "SELECT * FROM floatingips")}

    def sql(self, statement: str, *values: Any) -> None:
        """Break something in neutron's tables that no API call would."""
        url = self.lab.urls()["neutron"]
        root = pymysql.connect(
            host=url.host, port=url.port, user="root", password="lab-root", database=url.database, autocommit=True
        )
        with root, root.cursor() as cursor:
            cursor.execute(statement, values)

    def forward(self, fip: int, port: int, external: int, internal: int) -> None:
        """A forwarding, made by a client of its own."""
        answer = self.lab.api.network.post(f"/floatingips/{self.fips[fip].id}/port_forwardings", json={"port_forwarding": {
            "internal_port_id": self.ports[port].id, "internal_ip_address": self.inside(port), "protocol": "tcp",
            "external_port": external, "internal_port": internal,
        }})
        assert answer.status_code == 201, answer.text

    def wipe(self) -> None:
        """The same in the tables, for many."""
        self.sql("DELETE FROM standardattributes WHERE id IN (SELECT standard_attr_id FROM portforwardings"
                 " WHERE floatingip_id <> %s)", self.fips[-1].id)
        self.sql("UPDATE floatingips SET router_id=NULL WHERE id <> %s", self.fips[-1].id)

    def clear(self) -> None:
        """Remove all forwardings but the bystander, one by one, with a client of its own."""
        net = self.lab.api.network
        for fip in self.fips[:-1]:
            for f in net.get(f"/floatingips/{fip.id}/port_forwardings").json()["port_forwardings"]:
                net.delete(f"/floatingips/{fip.id}/port_forwardings/{f['id']}")


def make_edge(lab: Lab, fips: int = 5, ports: int = 6) -> Edge:
    """A server, floating IPs and ports, and a forwarding that no test may change."""
    net = lab.api.network
    server = lab.api.compute.create_server(
        name="wéb-01", image_id=lab.api.image.find_image("cirros").id, flavor_id=lab.api.compute.find_flavor("m1.tiny").id,
        networks=[{"uuid": net.find_network("private").id}], availability_zone="nova:gpu-01",
    )
    wait_until(lambda: lab.api.compute.get_server(server.id).status == "ACTIVE", 60, "the server is active")
    edge = Edge(lab, server.id)
    edge.fips = [edge.fip() for _ in range(fips)]
    edge.ports = [edge.port(f"edge-{n}") for n in range(ports)]
    edge.forward(-1, -1, 60122, 22)
    return edge


@contextmanager
def unreliable(answers: Sequence[str]) -> Iterator[dict[str, str]]:
    """The variables of a proxy that passes everything on, but for the first creations of forwardings: 'lost' passes one
    on and drops the answer, 'down' answers 503 itself."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Unreliable)
    server.daemon_threads = True
    server.left = list(answers)  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield {"http_proxy": address, "HTTP_PROXY": address, "no_proxy": "", "NO_PROXY": ""}
    finally:
        server.shutdown()
        server.server_close()


class _Unreliable(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        left: list[str] = self.server.left  # type: ignore[attr-defined]
        fault = left.pop(0) if left and self.command == "POST" and self.path.endswith("/port_forwardings") else ""
        if fault == "down":
            self.send_error(503)
            return
        url = urlsplit(self.path)
        upstream = http.client.HTTPConnection(url.hostname or "", url.port or 80, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "content-length", "connection")}
        upstream.request(self.command, url._replace(scheme="", netloc="").geturl(), body or None, headers)
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        if fault == "lost":
            self.close_connection = True
            self.connection.shutdown(2)
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "server", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _pass_on  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""
