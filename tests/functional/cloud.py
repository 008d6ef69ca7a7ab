"""Drives the lab and the command under test, and reads the ends of both sides: API and tables."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import openstack
import pymysql
from sqlalchemy import make_url

from tests.kills import HEARING

ROOT = Path(__file__).resolve().parents[2]
OPSFIX = Path(sys.executable).with_name("opsfix")
#: What the services write by themselves all the time.
HEARTBEATS = {"services", "compute_nodes", "agents", "resource_providers", "inventories", "host_mappings"}


@dataclass(frozen=True)
class Ran:
    """A finished run of opsfix."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """Its JSON."""
        return json.loads(self.out)

    def item(self, volume_id: str) -> dict[str, Any]:
        """The one item about a volume."""
        (item,) = [i for i in self.report["items"] if i["id"] == volume_id]
        return item


class Lab:
    """The lab's commands."""

    def __init__(self, state_dir: Path):
        self.state_dir = state_dir
        self.healthy: dict[str, Any] = {}
        self.environ = dict(os.environ) | _place(os.environ.get("PYTEST_XDIST_WORKER"))

    def up(self) -> None:
        """Bring it up and to its freshly filled state; a failure is an error of the tests, never a skip."""
        shared = Path(self.environ["LAB_VENV"] + ".lock")
        shared.parent.mkdir(parents=True, exist_ok=True)
        with shared.open("w") as lock:  # what several labs share is installed once
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._lab("provision", timeout=1200)
        if not any(p["alive"] for p in self.processes().values()):
            self._lab("up", timeout=1200)
        self.reset()

    def _take_environment(self) -> None:
        text = self._lab("env")
        shell = subprocess.run(
            ["bash", "-c", f"{text}\nenv -0"], env=self.environ, capture_output=True, text=True, check=True, timeout=30
        )
        self.environ = dict(pair.split("=", 1) for pair in shell.stdout.split("\0") if "=" in pair)
        self.environ["OPSFIX_STATE_DIR"] = str(self.state_dir)

    def end(self) -> None:
        """Take it down, unless it was kept for the next run on purpose."""
        if not os.environ.get("OPSFIX_TEST_KEEP_LAB"):
            self._lab("down", timeout=120)

    def reset(self) -> None:
        """Back to the freshly filled cloud, and healthy bystanders in it that no test may change."""
        self._lab("reset", timeout=300)
        self._take_environment()
        self.healthy = self.broken("healthy")

    def broken(self, state: str, host: str | None = None) -> dict[str, Any]:
        """Make a broken state, as the services see it; returns the ids that it made."""
        made = json.loads(self._lab("break", state, *([host] if host else []), timeout=180))
        dead = tuple(made["dead"])
        wait_until(lambda: all(dead and h.startswith(dead) for h in self.down()), 60, "what lives is called up")
        wait_until(lambda: all(any(h.startswith(d) for h in self.down()) for d in dead), 60, "what is dead is called down")
        return made

    def kill(self, name: str) -> None:
        """Send SIGKILL to a host or a service."""
        self._lab("kill", name)

    def die(self, name: str) -> None:
        """Kill a host; its service calls it down at once, as if the time for that had passed."""
        self._lab("kill", name, "--wait", timeout=120)

    def revive(self, name: str) -> None:
        """Start a dead host or service again."""
        self._lab("revive", name, timeout=120)

    def hold(self, name: str, call: str) -> None:
        """From now on a driver's call blocks."""
        self._lab("hold", name, call)

    def fail(self, name: str, call: str) -> None:
        """From now on a driver's call raises."""
        self._lab("fail", name, call)

    def release(self, name: str) -> None:
        """End what was held or told to fail."""
        self._lab("release", name)

    def processes(self) -> dict[str, Any]:
        """The lab's processes, none where it was never up; its exit status says whether all are alive."""
        told = self._lab("status", may_fail=True)
        return json.loads(told)["processes"] if told else {}

    def revive_all(self) -> None:
        """Start whatever is dead, release what is held, and wait until the services are called up."""
        for name, process in self.processes().items():
            if not process["alive"]:
                self._lab("revive", name, timeout=120)
        control = Path(self.environ["LAB_DIR"]) / "control"
        for name in {path.name.split(".")[0] for kind in ("hold", "fail") for path in (control / kind).glob("*")}:
            self._lab("release", name)
        wait_until(lambda: not self.down(), 60, "every host up")

    def down(self) -> list[str]:
        """Hosts of nova-compute and cinder-volume that are called down."""
        services = [*self.api.compute.services(), *self.api.block_storage.services()]
        return [s.host for s in services if s.state != "up"]

    def _lab(self, command: str, *arguments: str, timeout: float = 60, may_fail: bool = False) -> str:
        done = subprocess.run(
            [ROOT / "lab" / command, *arguments],
            env=self.environ, capture_output=True, text=True, timeout=timeout, check=False,
        )
        if done.returncode and not may_fail:
            raise RuntimeError(f"lab/{command} {' '.join(arguments)} exited {done.returncode}:\n{done.stderr[-3000:]}")
        return done.stdout

    def unstick(self, *arguments: str, **environ: str) -> Ran:
        """Run ``opsfix volume unstick ... --older-than 0s -o json``."""
        return self.run("volume", "unstick", *arguments, "--older-than", "0s", "-o", "json", **environ)

    def run(self, *arguments: str, **environ: str) -> Ran:
        """Run opsfix as cron does: no terminal."""
        done = subprocess.run(
            [OPSFIX, *arguments], env=self.environ | environ, capture_output=True, text=True, timeout=300,
            stdin=subprocess.DEVNULL, check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Begin a run of opsfix."""
        return subprocess.Popen(
            [*HEARING, OPSFIX, *arguments], env=self.environ | environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )

    @cached_property
    def api(self) -> Any:
        """An administrator's connection, independent of opsfix."""
        e = self.environ
        return openstack.connect(
            auth_url=e["OS_AUTH_URL"], username=e["OS_USERNAME"], password=e["OS_PASSWORD"],
            project_name=e["OS_PROJECT_NAME"], user_domain_name="Default", project_domain_name="Default",
            region_name=e["OS_REGION_NAME"],
        )

    def urls(self) -> dict[str, Any]:
        """The services' database URLs from their own files."""
        etc = Path(self.environ["OPSFIX_SERVICES_CONF_DIR"])
        found = {}
        files = {"cinder": "cinder/cinder.conf", "nova": "nova/nova.conf", "glance": "glance/glance-api.conf",
                 "neutron": "neutron/neutron.conf"}
        for name, file in files.items():
            lines = (etc / file).read_text().splitlines()
            found[name] = make_url(next(
                line.split("=", 1)[1].strip() for line in lines if line.startswith("connection") and "nova_api" not in line
            ))
        return found

    def rows(self, service: str, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Read a service's tables, past every API; 'nova' is its only cell with servers."""
        url = self.urls()[service]
        connection = pymysql.connect(
            host=url.host, port=url.port, user=url.username, password=url.password, database=url.database,
            cursorclass=pymysql.cursors.DictCursor, charset="utf8mb4",
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    def stale_copy(self, url: Any) -> str:
        """The URL of a copy of a service's database, as a restored backup would be: it hears no heartbeat any more."""
        copy = f"{url.database}_stale"
        root = pymysql.connect(host=url.host, port=url.port, user="root", password="lab-root", autocommit=True)
        with root, root.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {copy}")
            cursor.execute(f"CREATE DATABASE {copy}")
            for table in ("alembic_version", "services", "volumes", "volume_attachment"):
                cursor.execute(f"CREATE TABLE {copy}.{table} LIKE {url.database}.{table}")
                cursor.execute(f"INSERT INTO {copy}.{table} SELECT * FROM {url.database}.{table}")
            cursor.execute(f"GRANT ALL ON {copy}.* TO '{url.username}'@'127.0.0.1'")
            newer = f"SELECT MAX(l.updated_at) > MAX(c.updated_at) + INTERVAL 4 SECOND FROM {url.database}.services l, {copy}.services c"
            wait_until(lambda: cursor.execute(newer) and cursor.fetchone()[0], 60, "heartbeats that the copy does not hear")
        return url.set(database=copy).render_as_string(hide_password=False)

    def checksums(self) -> dict[str, Any]:
        """A checksum for each table of cinder and of nova's cell that only an operation changes."""
        found = {}
        for service in ("cinder", "nova"):
            tables = [next(iter(r.values())) for r in self.rows(service, "SHOW TABLES")]
            for table in sorted(set(tables) - HEARTBEATS):
                found[f"{service}.{table}"] = self.rows(service, f"CHECKSUM TABLE `{table}`")[0]["Checksum"]
        return found

    def end_of(self, volume_id: str) -> dict[str, Any]:
        """What a volume ended as, by the tables of both services."""
        volume = self.rows("cinder", "SELECT status, attach_status, deleted FROM volumes WHERE id=%s", volume_id)[0]
        attachments = self.rows(
            "cinder", "SELECT id, attach_status FROM volume_attachment WHERE volume_id=%s AND deleted=0", volume_id
        )
        mappings = self.rows(
            "nova", "SELECT b.id, b.attachment_id FROM block_device_mapping b JOIN instances i ON i.uuid=b.instance_uuid"
            " AND i.deleted=0 WHERE b.volume_id=%s AND b.deleted=0", volume_id,
        )
        return {
            "status": "deleted" if volume["deleted"] else volume["status"],
            "attach_status": volume["attach_status"],
            "attachments": sorted(a["attach_status"] for a in attachments),
            "mapped": sorted(m["attachment_id"] in {a["id"] for a in attachments} for m in mappings),
        }


def _place(worker: str | None) -> dict[str, str]:
    """Where the lab is: one for all, or one for each of several processes that test at the same time."""
    base = Path(os.environ.get("LAB_DIR") or ROOT / ".lab").resolve()
    venv = os.environ.get("LAB_VENV") or str(base / "venv")
    if worker is None:
        return {"LAB_DIR": str(base), "LAB_VENV": venv}
    port = int(os.environ.get("LAB_PORT_BASE") or 25000) + 20 * (int(worker.removeprefix("gw")) + 1)
    return {"LAB_DIR": str(base / worker), "LAB_VENV": venv, "LAB_PORT_BASE": str(port)}


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> None:
    """Poll a condition; the failure says what was awaited."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.2)


def bystanders(lab: Lab) -> dict[str, Any]:
    """The rows of healthy volumes on both sides, whole."""
    found: dict[str, Any] = {}
    for volume_id in lab.healthy["volumes"]:
        found[volume_id] = (
            lab.rows("cinder", "SELECT * FROM volumes WHERE id=%s", volume_id),
            lab.rows("cinder", "SELECT * FROM volume_attachment WHERE volume_id=%s", volume_id),
            lab.rows("nova", "SELECT * FROM block_device_mapping WHERE volume_id=%s", volume_id),
        )
    return found
