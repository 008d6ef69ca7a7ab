"""Servers for the tests of purges: made, broken as deaths and old scripts break them, and their ends read everywhere."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pymysql

from tests.functional.cloud import Lab, wait_until

#: Tables of a cell that name a server, by the column that does.
CHILDREN = {
    "block_device_mapping": "instance_uuid", "instance_actions": "instance_uuid", "instance_extra": "instance_uuid",
    "instance_faults": "instance_uuid", "instance_info_caches": "instance_uuid", "instance_metadata": "instance_uuid",
    "instance_system_metadata": "instance_uuid", "migrations": "instance_uuid", "virtual_interfaces": "instance_uuid",
    "instance_id_mappings": "uuid", "tags": "resource_id", "console_auth_tokens": "instance_uuid",
}
OF_API = ("instance_mappings", "request_specs", "build_requests", "instance_group_member")
#: How many of many servers have a port: neutron takes longest to make them.
PORTS = 30
#: What is left of a server that was purged and whose rows were not asked for.
PURGED = {"api": False, "deleted": True, "queued": True, "attachments": 0, "ports": 0, "allocation": False}


def _vif(port: str, network: str) -> dict[str, Any]:
    """A port that nova made, as its cache has it."""
    return {"id": port, "preserve_on_delete": False, "network": {"id": network}}


@dataclass
class Site:
    """The lab, and what the tests do to its servers behind everybody's back."""

    lab: Lab

    @cached_property
    def api(self) -> Any:
        """An administrator's connection."""
        return self.lab.api

    def sql(self, database: str, statement: str, *values: Any, many: list[tuple[Any, ...]] | None = None) -> list[dict[str, Any]]:
        """Run a statement as MariaDB's root."""
        url = self.lab.urls()["nova"]
        root = pymysql.connect(
            host=url.host, port=url.port, user="root", password="lab-root", database=database, autocommit=True,
            cursorclass=pymysql.cursors.DictCursor, charset="utf8mb4",
        )
        with root, root.cursor() as cursor:
            if many is not None:
                cursor.executemany(statement, many)
            else:
                cursor.execute(statement, values)
            return list(cursor.fetchall())

    @cached_property
    def network(self) -> str:
        """The id of the network that the servers are in."""
        return str(self.api.network.find_network("private").id)

    def servers(self, host: str, *names: str, ports: bool = True) -> list[str]:
        """ACTIVE servers, one a name, built at the same time; their ids."""
        body = {
            "flavor_id": self.api.compute.find_flavor("m1.tiny").id, "image_id": self.api.image.find_image("cirros").id,
            "availability_zone": f"nova:{host}", "networks": [{"uuid": self.network}] if ports else "none",
        }
        made = [str(self.api.compute.create_server(name=name, **body).id) for name in names]
        for server in made:
            wait_until(lambda server=server: self.shown(server).status == "ACTIVE", 120, f"server {server} ACTIVE")
        return made

    def shown(self, server: str) -> Any:
        """The server as the API shows it."""
        return self.api.compute.get_server(server)

    def volume(self, server: str, *, doomed: bool = False) -> str:
        """A volume of the first back end, attached to the server; its id."""
        made = self.api.block_storage.create_volume(name=f"dåta-{server[:8]}", size=1, volume_type="cinder-01").id
        wait_until(lambda: self.api.block_storage.get_volume(made).status == "available", 60, "the volume is available")
        self.api.compute.post(
            f"/servers/{server}/os-volume_attachments", microversion="2.79",
            json={"volumeAttachment": {"volumeId": made, "delete_on_termination": doomed}},
        )
        wait_until(lambda: self.api.block_storage.get_volume(made).status == "in-use", 60, "the volume is in-use")
        return str(made)

    def port(self, server: str) -> str:
        """A port that a user made, plugged into the server; its id."""
        made = str(self.api.network.create_port(network_id=self.network, name="användarens").id)
        self.api.compute.create_server_interface(server, port_id=made)
        wait_until(lambda: self.api.network.get_port(made).device_id == server, 60, "the port is the server's")
        return made

    def floating_ip(self, server: str) -> str:
        """A floating IP on the server's first port; its id."""
        [port, *_] = self.api.network.ports(device_id=server)
        return str(self.api.network.create_ip(
            floating_network_id=self.api.network.find_network("public").id, port_id=port.id
        ).id)

    def forget(self, server: str) -> None:
        """What the old scripts left: the rows of nova marked as deleted, and everything else as it was."""
        self.sql("nova_cell1", "UPDATE instances SET deleted = id, deleted_at = UTC_TIMESTAMP() WHERE uuid = %s", server)

    def end_of(self, server: str) -> dict[str, Any]:
        """What each service still has of a server."""
        answer = self.api.compute.get(f"/servers/{server}")
        rows = [r for cell in ("nova_cell0", "nova_cell1")
                for r in self.sql(cell, "SELECT id, deleted FROM instances WHERE uuid = %s", server)]
        mapping = self.sql("nova_api", "SELECT queued_for_delete AS q FROM instance_mappings WHERE instance_uuid = %s", server)
        held = self.api.placement.get(f"/allocations/{server}").json()["allocations"]
        attached = self.lab.rows("cinder", "SELECT id FROM volume_attachment WHERE instance_uuid = %s AND deleted = 0", server)
        return {
            "api": answer.status_code == 200,
            "deleted": bool(rows) and all(r["deleted"] == r["id"] for r in rows),
            "queued": bool(mapping) and all(m["q"] for m in mapping),
            "attachments": len(attached),
            "ports": len(list(self.api.network.ports(device_id=server))),
            "allocation": bool(held),
        }

    def rows_of(self, server: str) -> dict[str, int]:
        """How many rows name a server, by table; those without any left out."""
        found = {"instances": self.sql("nova_cell1", "SELECT COUNT(*) AS n FROM instances WHERE uuid = %s", server)[0]["n"]}
        for table, column in CHILDREN.items():
            found[table] = self.sql("nova_cell1", f"SELECT COUNT(*) AS n FROM {table} WHERE {column} = %s", server)[0]["n"]
        for table in OF_API:
            found[table] = self.sql("nova_api", f"SELECT COUNT(*) AS n FROM {table} WHERE instance_uuid = %s", server)[0]["n"]
        return {table: count for table, count in found.items() if count}

    def guests(self, host: str) -> set[str]:
        """Ids of the guests that a host really runs."""
        place = self.lab.environ["LAB_DIR"] + f"/state/{host}/guests"
        return {path.stem for path in Path(place).glob("*.json")}

    def request(self) -> str:
        """A build request without a mapping, as a build leaves it that died on its first steps; the server's id."""
        body = {
            "name": "begäran", "flavor_id": self.api.compute.find_flavor("m1.tiny").id, "networks": "none",
            "image_id": self.api.image.find_image("cirros").id, "availability_zone": "nova:gpu-03",
        }
        with ThreadPoolExecutor(1) as pool:
            building = pool.submit(self.api.compute.create_server, **body)
            found: list[dict[str, Any]] = []
            while not found:  # it lasts until the server has a cell
                found = self.sql("nova_api", "SELECT * FROM build_requests")
                assert found or not building.done() or self.shown(building.result().id).status == "BUILD", "the moment is over"
        [row], made = found[:1], str(uuid.uuid4())
        copy = {k: v for k, v in row.items() if k != "id"} | {"instance_uuid": made, "created_at": "2024-02-29 23:59:58"}
        copy["instance"] = copy["instance"].replace(row["instance_uuid"], made)
        columns, marks = ", ".join(f"`{c}`" for c in copy), ", ".join(["%s"] * len(copy))
        self.sql("nova_api", f"INSERT INTO build_requests ({columns}) VALUES ({marks})", *copy.values())
        server = str(building.result().id)
        wait_until(lambda: self.shown(server).status == "ACTIVE", 60, "the server whose request was copied")
        self.api.compute.delete_server(server)
        wait_until(lambda: self.api.compute.find_server(server) is None, 60, "the server whose request was copied is gone")
        return made

    def multiplied(self, server: str, times: int) -> list[str]:
        """So many servers more, each with rows and allocation as the given one has them, the first ones with a port:
        building that many takes minutes, and nova cannot tell the difference."""
        copies = [str(uuid.uuid4()) for _ in range(times)]
        ports = self._ports(server, copies[:PORTS])
        caches = [(json.dumps([_vif(ports[c], self.network)] if c in ports else []), c) for c in copies]
        for database, table, column in (
            ("nova_cell1", "instances", "uuid"), ("nova_cell1", "instance_extra", "instance_uuid"),
            ("nova_cell1", "instance_info_caches", "instance_uuid"), ("nova_cell1", "instance_system_metadata", "instance_uuid"),
            ("nova_api", "instance_mappings", "instance_uuid"), ("nova_api", "request_specs", "instance_uuid"),
            ("placement", "consumers", "uuid"), ("placement", "allocations", "consumer_id"),
        ):
            self._copy(database, table, column, server, copies)
        self.sql("nova_cell1", "UPDATE instance_info_caches SET network_info = %s WHERE instance_uuid = %s", many=caches)
        return copies

    def _copy(self, database: str, table: str, column: str, server: str, copies: list[str]) -> None:
        described = self.sql(database, f"SHOW COLUMNS FROM {table}")
        names = [c["Field"] for c in described if "auto_increment" not in c["Extra"]]
        values = ", ".join("%s" if name == column else f"`{name}`" for name in names)
        self.sql(
            database, f"INSERT INTO {table} ({', '.join(f'`{n}`' for n in names)}) SELECT {values} FROM {table} WHERE `{column}` = %s",
            many=[(copy, server) for copy in copies],
        )

    def _ports(self, server: str, copies: list[str]) -> dict[str, str]:
        [template] = self.api.network.ports(device_id=server)
        found = {}
        for begin in range(0, len(copies), 50):
            body = {"ports": [
                {"network_id": self.network, "device_id": copy, "device_owner": template.device_owner,
                 "binding:host_id": template.binding_host_id}
                for copy in copies[begin:begin + 50]
            ]}
            answer = self.api.network.post("/ports", json=body)
            found |= {port["device_id"]: port["id"] for port in answer.json()["ports"]}
        return found
