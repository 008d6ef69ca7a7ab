"""Nothing secret in anything that is written: secrets are planted wherever opsfix reads, then looked for wherever it
writes. The one place that may hold them is the images of rows in a journal, which its owner alone may read."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click
import pytest

from opsfix.engine.fallback import fall_back
from opsfix.errors import ExitCode
from opsfix.gateways.database import Database, Databases
from opsfix.journal import Journal, now
from opsfix.model import Item, Mode, Outcome, Report
from opsfix.render import render_report
from opsfix.repairs.volume_host_fenced import REPAIR
from opsfix.scene import Scene
from tests.docs.documents import COMMANDS
from tests.fakes.cloud import FakeCloud
from tests.sql import cases
from tests.sql.server import MariaDB
from tests.sql.world import World
from tests.unit.commands import run

CANARY = "canary-that-sings"
#: What each service says of itself: path -> id and microversion of its API.
VERSIONS = {
    "v3": ("v3.14", ""), "compute": ("v2.1", "2.96"), "block-storage": ("v3.0", "3.71"), "network": ("v2.0", ""),
    "image": ("v2.16", ""), "placement": ("v1.0", "1.39"),
}  # fmt: skip
FORMS = ("table", "json", "yaml", "csv", "value")


def planted(where: str) -> str:
    """A secret that tells where it was found."""
    return f"{CANARY}-{where}"


class Gossip(BaseHTTPRequestHandler):
    """A cloud that refuses everything and repeats in its answer all that it was told, tokens and passwords included."""

    def do_GET(self) -> None:
        """What a client asks first is answered, all else refused."""
        here = f"http://127.0.0.1:{self.server.server_address[1]}{self.path.rstrip('/')}/"
        known = VERSIONS.get(self.path.strip("/"))
        if known:
            name, number = known
            version = {"id": name, "status": "CURRENT", "version": number, "min_version": "1.0", "links": [{"rel": "self", "href": here}]}
            return self._answer(200, {"version": version, "versions": [version]})
        return self._answer(403, {"forbidden": {"message": self._told(), "code": 403}})

    def do_POST(self) -> None:
        """A log-in by password is granted, one by token is not."""
        told = self._told()
        if not self.path.startswith("/v3/auth") or "token" in json.loads(told)["body"]["auth"]["identity"]["methods"]:
            return self._answer(401, {"error": {"message": told, "code": 401}})
        here = f"http://127.0.0.1:{self.server.server_address[1]}"
        where = {"interface": "public", "region": "r", "region_id": "r"}
        catalog = [
            {"type": kind, "name": kind, "id": kind, "endpoints": [{**where, "url": f"{here}/{kind}", "id": kind}]}
            for kind in VERSIONS if kind != "v3"
        ]  # fmt: skip
        times = {"issued_at": "2026-01-01T00:00:00.000000Z", "expires_at": "2099-01-01T00:00:00.000000Z"}
        token = {"methods": ["password"], "user": {"id": "u", "name": "u", "domain": {"id": "d", "name": "d"}}, "catalog": catalog, **times}
        return self._answer(201, {"token": token})

    def _told(self) -> str:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or "null")
        return json.dumps({"headers": dict(self.headers), "body": body})

    def _answer(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Subject-Token", planted("token-of-keystone"))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quietly."""


@pytest.fixture
def gossip() -> Iterator[str]:
    """The URL of such a cloud's keystone."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gossip)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v3"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def place(mariadb: MariaDB, tmp_path: Path, gossip: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine on which every file and variable that opsfix reads holds a secret; what is written goes to ``written``."""
    etc, written = tmp_path / "etc", tmp_path / "written"
    etc.mkdir()
    written.mkdir(mode=0o700)
    away, here = "127.0.0.1:1", f"127.0.0.1:{mariadb.port}"
    (etc / "nova.conf").write_text(
        f"[DEFAULT]\ntransport_url = rabbit://nova:{planted('transport')}@h\n"
        f"[database]\nconnection = mysql+pymysql://nova:{planted('nova-conf')}@{here}/nova\n"
    )
    (etc / "glance-api.conf").write_text(f"[database]\nconnection = mysql+pymysql://glance:{planted('glance-conf')}@h:port/glance\n")
    (etc / "placement.conf").write_text(f"[placement_database]\nconnection = mysql+pymysql://p:{planted('refused')}@{here}/p\n")
    (etc / "opsfix.toml").write_text(
        f'[databases]\ncinder = "mysql+pymysql://cinder:{planted("toml")}@{away}/cinder?ssl_key_password={planted("key")}"\n'
        f'keystone = "postgresql://keystone:{planted("postgres")}@{away}/keystone"\n'
    )
    (tmp_path / "clouds.yaml").write_text(json.dumps({"clouds": {
        "password": {"auth": {"auth_url": gossip, "username": "u", "password": planted("clouds"), "project_name": "p",
                              "user_domain_name": "d", "project_domain_name": "d"}, "region_name": "r"},
        "token": {"auth_type": "token", "auth": {"auth_url": gossip, "token": planted("given-token"), "project_name": "p"}},
    }}))  # fmt: skip
    api = mariadb.databases("2026.2", {"nova_api": ["cell_mappings"]})["nova_api"]
    cell = f"mysql+pymysql://nova:{planted('cell')}@{away}/nova"
    mariadb.insert(api, "cell_mappings", name="cell1", database_connection=cell, transport_url=f"rabbit://n:{planted('mq')}@h")
    for name, value in {
        "OS_CLIENT_CONFIG_FILE": str(tmp_path / "clouds.yaml"), "OPSFIX_SERVICES_CONF_DIR": str(etc),
        "OPSFIX_STATE_DIR": str(written / "state"), "OPSFIX_BACKUP_DIR": str(written / "backups"), "HOME": str(tmp_path),
        "OPSFIX_CONFIG": str(etc / "opsfix.toml"), "OPSFIX_DATABASE_NOVA_API": api.replace(mariadb.password, planted("variable")),
        "OPSFIX_LOG_FILE": str(written / "log"), "OPSFIX_DEBUG": "1", "OPSFIX_TIMEOUT": "5",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(written)
    yield tmp_path
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


def silent(place: Path, *texts: str) -> None:
    """No secret is in these texts, nor in anything that lies where opsfix writes."""
    files = {str(path): path.read_bytes().decode(errors="replace") for path in (place / "written").rglob("*") if path.is_file()}
    for name, text in {**files, **{f"text {n}": text for n, text in enumerate(texts)}}.items():
        found = text.find(CANARY)
        assert found < 0, f"{name}: {text[max(found - 200, 0):found + 80]}"


def words_of(name: tuple[str, ...]) -> list[str]:
    """A command with something for each argument that it must have, one of them a URL with a password."""
    needed = [p for p in COMMANDS[name].params if isinstance(p, click.Argument) and p.required]
    options = [p for p in COMMANDS[name].params if isinstance(p, click.Option) and p.required]
    return [*name, *(w for o in options for w in (o.opts[0], "1:1")), *([f"mysql://x:{planted('argument')}@h"] * len(needed))]


@pytest.mark.parametrize("cloud", ["password", "token"])
def test_no_command_sings(mariadb: MariaDB, place: Path, cloud: str) -> None:
    """Refused log-ins, servers that are away, URLs that are none, services that repeat what they were told."""
    ended = [run("--os-cloud", cloud, *words_of(name)) for name in COMMANDS]
    assert [e for e in ended if e.code == ExitCode.BUG] == []
    assert sum("***" in e.err + e.out for e in ended) > 3
    silent(place, *(e.out + e.err for e in ended))
    assert (place / "written" / "log").stat().st_size > 0


@pytest.mark.parametrize("database", ["cinder", "nova_api", "nova", "glance", "placement", "keystone"])
def test_no_check_of_a_database_sings(mariadb: MariaDB, place: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One broken database alone: its error is what ends the run."""
    for other in ("CINDER", "NOVA_API", "NOVA", "GLANCE", "PLACEMENT", "KEYSTONE"):
        if other != database.upper():
            monkeypatch.setenv(f"OPSFIX_DATABASE_{other}", f"mysql+pymysql://u:{planted('other')}@127.0.0.1:1/x")
    ended = [run(*words.split()) for words in ("config check", "config show -o json", "config grants", "db status", "db backup")]
    silent(place, *(e.out + e.err for e in ended))


@pytest.mark.parametrize("mode", [Mode.DRY_RUN, Mode.COMMIT])
def test_rows_are_shown_without_their_secrets_and_kept_with_them(mariadb: MariaDB, place: Path, mode: Mode) -> None:
    """In no form of the report, in no event but the images, and in nothing that history shows of them."""
    case = cases.every()["volume_host_fenced.nova"]
    world = World(mariadb, "2026.2", case.database, case.tables)
    case.seed(world)
    world.change("mapping", connection_info=json.dumps({"data": {"auth_password": planted("chap")}}))
    databases = Databases({}, {"cell1": Database("nova", world.url, pool=1, cell="cell1")})
    assert REPAIR.fallback
    fallback = replace(REPAIR.fallback, only_if=())
    params = {"mapping_id": "mapping.id", "mapping_uuid": "mapping.uuid", "attachment_id": "mapping.attachment", "server_id": "server.id",
              "volume_id": "volume.id", "host": "server.host", "heartbeat": "server.heartbeat"}  # fmt: skip
    facts = {fact: world.params[name] for name, fact in params.items()} | {"cell": "cell1"}
    journal = Journal(place / "written" / "state", "volume unstick", str(mode), [], "cloud")
    scene = Scene(FakeCloud(), databases)  # type: ignore[arg-type]
    fell = fall_back(fallback, facts, scene, mode, lambda event, /, **data: journal.record(event, item="v", **data))
    assert fell.steps
    assert fell.steps[0].rows == 1
    outcome = fell.outcome or Outcome.REPAIRED
    item = Item("volume", "v", "v", "p", "volume-host-fenced", outcome, None, fell.reason, steps=tuple(fell.steps))
    report = Report(journal.run, "volume unstick", mode, now(), now(), (item,))
    journal.close(report.as_dict())
    databases.dispose()
    events = journal.path / "journal.jsonl"
    kept = [json.loads(line) for line in events.read_text().splitlines()]
    with_it = [e["event"] for e in kept if CANARY in json.dumps(e.pop("images", ""))]
    assert with_it == (["sql-before", "sql-after"] if mode is Mode.COMMIT else [])
    assert CANARY not in json.dumps(kept)
    shown = [run("history", journal.run, "-o", form) for form in FORMS]
    assert [s.code for s in shown] == [0] * len(FORMS)
    assert mode is Mode.DRY_RUN or "connection_info" in shown[0].out + shown[1].out
    assert events.stat().st_mode & 0o077 == 0
    events.unlink()
    silent(place, *(render_report(report, form) for form in FORMS), *(s.out + s.err for s in shown))
