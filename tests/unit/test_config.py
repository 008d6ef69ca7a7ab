"""Settings: which source wins, where each value came from, and what cannot be meant or cannot be read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from opsfix import config
from opsfix.cli import cli
from opsfix.cli.checking import checks
from opsfix.config import SERVICE_FILES, Settings, Value, read_settings
from opsfix.errors import CloudUnknown, ConfigError

URL = "mysql+pymysql://cinder:tell-nobody@db/cinder"
OTHER = "mysql+pymysql://cinder:tell-nobody@other/cinder"


class Place:
    """A machine's files: /etc, a home, and what may not be read."""

    def __init__(self, root: Path):
        self.root, self.etc = root, root / "etc"
        self.system, self.user = self.etc / "opsfix" / "opsfix.toml", root / "home" / ".config" / "opsfix" / "opsfix.toml"
        self.environ: dict[str, str] = {}
        self.closed: set[str] = set()
        self.etc.mkdir()

    def write(self, path: Path | str, text: str) -> Path:
        """Make a file, by its path or by its name in /etc."""
        path = self.etc / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        return path

    def read(self, config_file: Path | None = None, **options: Any) -> Settings:
        """The settings of a run on this machine."""
        return read_settings(options, str(config_file) if config_file else None, self.environ)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path)
    monkeypatch.setattr(config, "SYSTEM_FILE", made.system)
    monkeypatch.setitem(config.SETTINGS, "services_conf_dir", (str(made.etc), "for the test"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    real_access, real_read, real_is_file = os.access, Path.read_text, Path.is_file

    def check(path: Path) -> None:
        if str(path) in made.closed or str(path.parent) in made.closed:
            raise PermissionError(13, "Permission denied", str(path))

    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda path, *args, **more: (check(path), real(path, *args, **more))[1]

    monkeypatch.setattr(os, "access", lambda path, mode: str(path) not in made.closed and real_access(path, mode))
    monkeypatch.setattr(Path, "read_text", guarded(real_read))
    monkeypatch.setattr(Path, "is_file", guarded(real_is_file))
    return made


def test_the_first_source_that_has_a_value_wins(place: Place) -> None:
    assert place.read().values["workers"] == Value(8, "default")
    place.write(place.user, "workers = 2\n")
    assert place.read().values["workers"] == Value(2, f"file {place.user}")
    place.write(place.system, "workers = 3\n")
    assert place.read().values["workers"] == Value(3, f"file {place.system}")
    place.environ["OPSFIX_WORKERS"] = "4"
    assert place.read().values["workers"] == Value(4, "variable OPSFIX_WORKERS")
    assert place.read(workers=5).values["workers"] == Value(5, "option --workers")
    place.environ["OPSFIX_WORKERS"] = ""
    assert place.read(workers=None).values["workers"] == Value(3, f"file {place.system}")


def test_files_are_merged_value_by_value(place: Place) -> None:
    place.write(place.system, f'timeout = 10\nstate_dir = ""\n[databases]\ncinder = "{URL}"\nglance = ""\n')
    place.write(place.user, f'timeout = 20\nstate_dir = "/mine"\n[databases]\ncinder = "{OTHER}"\nglance = "{OTHER}"\n')
    found = place.read()
    assert (found["timeout"], found["state_dir"]) == (10.0, "/mine")
    assert found.databases["cinder"] == Value(URL, f"file {place.system}")
    assert found.databases["glance"] == Value(OTHER, f"file {place.user}")


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_named_file_stands_alone(place: Place, how: str) -> None:
    place.write(place.system, "workers = 3\n")
    named = place.write("other.toml", "timeout = 7\n")
    if how == "variable":
        place.environ["OPSFIX_CONFIG"] = str(named)
    found = place.read(named if how == "option" else None)
    assert (found.values["timeout"], found.values["workers"]) == (Value(7.0, f"file {named}"), Value(8, "default"))


def test_a_named_file_must_be_there_and_readable(place: Place) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml does not exist"):
        place.read(place.etc / "nowhere.toml")
    named = place.write("other.toml", "")
    place.closed.add(str(named))
    with pytest.raises(ConfigError, match=r"other\.toml cannot be read: Permission denied"):
        place.read(named)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        place.read(place.etc)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("workers = ", "is not TOML"), ("workers = 1\nworkers = 2\n", "is not TOML"), ("\x00", "is not TOML"),
        ("wokers = 2\n", "unknown settings: wokers"), ("[databases]\nheat = 'x'\n", "unknown settings: databases.heat"),
        ("databases = 'x'\n", r"\[databases\] must be a table"), ("[databases]\nnova = 5\n", r"databases\.nova must be"),
        ("[databases.nova]\nurl = 'x'\n", r"databases\.nova must be"),
        ("workers = 'many'\n", "workers must be a positive integer, not 'many'"), ("workers = 0\n", "workers"),
        ("workers = 2.5\n", "workers must be a positive integer"), ("workers = true\n", "not True"),
        ("workers = [1]\n", "workers"), ("timeout = -1\n", "timeout must be a positive number"),
        ("timeout = nan\n", "timeout"), ("timeout = inf\n", "timeout"), ("workers = inf\n", "workers"),
        ("state_dir = 5\n", "state_dir must be a text"), ("services_conf_dir = ['/etc']\n", "services_conf_dir"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("which", ["system", "user"])
def test_what_cannot_be_meant_is_named_with_its_file(place: Place, text: str, told: str, which: str) -> None:
    path = place.write(getattr(place, which), text)
    with pytest.raises(ConfigError, match=told) as e:
        place.read()
    assert str(path) in str(e.value)


@pytest.mark.parametrize("value", ["many", "0", "-3", "2.5", "nan"])
def test_a_variable_that_cannot_be_meant_is_named(place: Place, value: str) -> None:
    place.environ["OPSFIX_WORKERS"] = value
    with pytest.raises(ConfigError, match=r"workers .*\(variable OPSFIX_WORKERS\)"):
        place.read()


def test_a_user_without_a_home_needs_none(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_: type[Path]) -> Path:
        raise RuntimeError("Could not determine home directory.")

    place.write(place.system, "workers = 3\n")
    monkeypatch.setattr(Path, "home", classmethod(homeless))
    assert place.read()["workers"] == 3
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    [state] = [s for s in shown() if s["name"] == "state_dir"]
    assert state["value"] is None
    assert "--state-dir" in state["origin"]


def test_configuration_is_where_xdg_says(place: Place) -> None:
    place.environ["XDG_CONFIG_HOME"] = str(place.root / "xdg")
    place.write(place.root / "xdg" / "opsfix" / "opsfix.toml", "workers = 3\n")
    place.write(place.user, "workers = 4\n")
    assert place.read()["workers"] == 3


# the services' own files


def test_every_service_is_found_in_its_own_file(place: Place) -> None:
    for name, (directory, file, group) in SERVICE_FILES.items():
        path = place.etc / directory / file
        before = path.read_text() if path.exists() else ""
        place.write(path, f"{before}[{group}]\nconnection = {URL}_{name}\n")
    found = place.read()
    assert {n: found.database(n) for n in SERVICE_FILES} == {n: f"{URL}_{n}" for n in SERVICE_FILES}
    assert found.databases["nova_api"].origin == f"[api_database]connection in {place.etc}/nova/nova.conf"
    assert found.warnings == []


def test_files_may_stand_together_and_a_directory_of_its_own_comes_first(place: Place) -> None:
    root = place.root / "srv"
    flat = place.write(root / "cinder.conf", f"[database]\nconnection = {URL}\n")
    assert place.read(services_conf_dir=str(root)).databases["cinder"].origin == f"[database]connection in {flat}"
    place.write(root / "cinder" / "cinder.conf", f"[database]\nconnection = {OTHER}\n")
    assert place.read(services_conf_dir=str(root)).database("cinder") == OTHER
    with pytest.raises(ConfigError, match="nowhere does not exist"):
        place.read(services_conf_dir=str(place.root / "nowhere"))


def test_a_database_that_is_named_comes_before_a_discovered_one(place: Place) -> None:
    place.write("cinder/cinder.conf", f"[database]\nconnection = {URL}\n")
    place.write(place.user, f'[databases]\ncinder = "{OTHER}"\n')
    assert place.read().databases["cinder"] == Value(OTHER, f"file {place.user}")
    place.environ["OPSFIX_DATABASE_CINDER"] = f"{OTHER}2"
    assert place.read().databases["cinder"] == Value(f"{OTHER}2", "variable OPSFIX_DATABASE_CINDER")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("[DEFAULT]\nmy_ip = 10.0.0.5\n[database]\nconnection = mysql+pymysql://n:p@$my_ip/nova\n", "mysql+pymysql://n:p@10.0.0.5/nova"),
        ("[database]\nconnection = mysql+pymysql://n:p@$my_ip/nova\n", "mysql+pymysql://n:p@127.0.0.1/nova"),
        ("[database]\nconnection = mysql+pymysql://n:a$$b@db/nova\n", "mysql+pymysql://n:a$b@db/nova"),
        ("[database]\nmax_retries = 1\n[DEFAULT]\ndebug = true\n[database]\nconnection = mysql://n@db/nova\n", "mysql://n@db/nova"),
        ("[database]\nconnection = mysql://old@db/nova\nconnection = mysql://new@db/nova\n", "mysql://new@db/nova"),
        ("[database]\nsql_connection = mysql://n@db/nova\n", "mysql://n@db/nova"),
        ("[database]\n# connection = mysql://n@db/nova\n", None), ("", None), ("[database]\nconnection =\n", None),
    ],
)  # fmt: skip
def test_a_file_is_read_as_the_service_reads_it(place: Place, text: str, url: str | None) -> None:
    place.write("nova/nova.conf", text)
    assert place.read().database("nova") == url


@pytest.mark.parametrize("directory", ["nova/nova.conf.d", "nova/nova.d"])
def test_drop_ins_come_after_the_file(place: Place, directory: str) -> None:
    place.write("nova/nova.conf", "[database]\nconnection = mysql://n@db/first\n")
    place.write(f"{directory}/10-a.conf", "[database]\nconnection = mysql://n@db/second\n")
    place.write(f"{directory}/20-b.conf", "[database]\nconnection = mysql://n@db/third\n")
    assert place.read().database("nova") == "mysql://n@db/third"


def test_a_file_that_is_no_configuration_is_named(place: Place) -> None:
    path = place.write("cinder/cinder.conf", "connection\n")
    with pytest.raises(ConfigError, match=f"{path} cannot be read as the service reads it"):
        place.read()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql+psycopg2"])
def test_another_kind_of_database_counts_as_not_configured(place: Place, kind: str) -> None:
    path = place.write("placement/placement.conf", f"[placement_database]\nconnection = {kind}://u:tell-nobody@h/x\n")
    found = place.read()
    assert found.database("placement") is None
    assert found.databases["placement"] == Value(None, f"not usable: {kind.split('+', maxsplit=1)[0]} in {path}")
    place.environ["OPSFIX_DATABASE_PLACEMENT"] = f"{kind}://u@h/x"
    assert place.read().database("placement") == f"{kind}://u@h/x"  # which the gateway refuses


# what may not be read


@pytest.mark.parametrize("closed", ["nova/nova.conf", "nova", "nova/nova.conf.d", "nova/nova.conf.d/10-a.conf"])
def test_a_services_file_that_may_not_be_read_is_not_absent(place: Place, closed: str) -> None:
    place.write("nova/nova.conf", f"[database]\nconnection = {URL}\n")
    place.write("nova/nova.conf.d/10-a.conf", f"[database]\nconnection = {OTHER}\n")
    place.closed.add(str(place.etc / closed))
    found = place.read()
    path = place.etc / ("nova/nova.conf" if closed == "nova" else closed)
    assert found.database("nova") is None
    assert found.databases["nova"] == found.databases["nova_api"] == Value(None, f"not readable: {path}")
    assert found.warnings == [f"not readable: {path}: its databases count as not configured"]
    place.environ |= {"OPSFIX_DATABASE_NOVA": URL, "OPSFIX_DATABASE_NOVA_API": URL}
    assert place.read().warnings == []


def test_an_own_file_that_may_not_be_read_is_told(place: Place) -> None:
    place.write(place.system, "workers = 3\n")
    place.write(place.user, "workers = 4\n")
    place.closed.add(str(place.system))
    found = place.read()
    assert found["workers"] == 4
    assert found.warnings == [f"not readable: {place.system}: what it sets is not used"]


# who else may read or write


@pytest.mark.parametrize(
    ("mode", "may"),
    [(0o604, "read"), (0o644, "read"), (0o666, "read"), (0o620, "write to"), (0o602, "write to"), (0o600, None), (0o640, None)],
)
@pytest.mark.parametrize("named", [True, False])
def test_a_file_with_passwords_that_others_may_read_or_write_is_told(
    place: Place, mode: int, may: str | None, named: bool
) -> None:
    path = place.write(place.system, f'[databases]\ncinder = "{URL}"\n')
    path.chmod(mode)
    told = [f"others may {may} {path}, which holds passwords: chmod 600 {path}"] if may else []
    assert place.read(path if named else None).warnings == told


@pytest.mark.parametrize("text", ["workers = 3\n", '[databases]\ncinder = "mysql+pymysql://cinder@db/cinder"\n', ""])
def test_a_file_without_passwords_may_be_read_by_all(place: Place, text: str) -> None:
    place.write(place.system, text).chmod(0o644)
    assert place.read().warnings == []


# what is shown


def shown(*, warned: str = "") -> list[dict[str, Any]]:
    """The settings that ``config show`` prints."""
    done = CliRunner().invoke(cli, ["config", "show", "-o", "json"])
    assert done.exit_code == 0, done.output
    assert warned in done.stderr
    settings: list[dict[str, Any]] = json.loads(done.stdout)["settings"]
    return settings


def test_show_names_every_origin_and_no_password(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write("glance/glance-api.conf", "[database]\nconnection = sqlite:////var/lib/glance/glance.sqlite\n")
    place.write("neutron/neutron.conf", f"[database]\nconnection = {URL}?ssl_key_password=tell-nobody\n")
    place.write("placement/placement.conf", "")
    place.write("nova/nova.conf", "")
    place.closed.add(str(place.etc / "nova" / "nova.conf"))
    monkeypatch.setenv("OPSFIX_DATABASE_CINDER", URL)
    rows = shown(warned=f"opsfix: warning: not readable: {place.etc}/nova/nova.conf")
    assert "tell-nobody" not in json.dumps(rows)
    origins = {row["name"]: (row["value"], row["origin"]) for row in rows}
    masked = "mysql+pymysql://cinder:***@db/cinder"
    assert origins["workers"] == (8, "default")
    assert {n: origins[f"databases.{n}"] for n in SERVICE_FILES} == {
        "cinder": (masked, "variable OPSFIX_DATABASE_CINDER"),
        "nova_api": (None, f"not readable: {place.etc}/nova/nova.conf"),
        "nova": (None, f"not readable: {place.etc}/nova/nova.conf"),
        "glance": (None, f"not usable: sqlite in {place.etc}/glance/glance-api.conf"),
        "neutron": (f"{masked}?ssl_key_password=***", f"[database]connection in {place.etc}/neutron/neutron.conf"),
        "placement": (None, "not configured"),
        "keystone": (None, "not configured"),
    }


class Away:
    """A cloud that does not answer."""

    def connect(self) -> None:
        raise CloudUnknown("no answer")


def test_check_fails_for_what_may_not_be_read_and_not_for_what_is_not_there(place: Place) -> None:
    place.write("glance/glance-api.conf", "[database]\nconnection = sqlite:///glance.sqlite\n")
    place.closed.add(str(place.write("cinder/cinder.conf", "")))
    seen = {row["name"]: (row["result"], row["detail"]) for row in checks(Away(), place.read())}  # type: ignore[arg-type]
    assert seen["api"] == ("failed", "no answer")
    assert seen["databases.cinder"] == ("failed", f"not readable: {place.etc}/cinder/cinder.conf")
    assert seen["databases.glance"] == ("not configured", f"not usable: sqlite in {place.etc}/glance/glance-api.conf")
    assert seen["databases.neutron"] == ("not configured", "fallbacks that need it are refused")


def test_check_tells_a_state_directory_that_no_run_would_take(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    state = place.root / "state"
    monkeypatch.setenv("OPSFIX_STATE_DIR", str(state))

    def seen() -> tuple[str, str]:
        [row] = [row for row in checks(Away(), read_settings({})) if row["name"] == "state_dir"]  # type: ignore[arg-type]
        return row["result"], row["detail"]

    assert seen() == ("works", f"{state}, which the first run makes")
    assert not state.exists()
    state.mkdir(0o700)
    assert seen() == ("works", f"{state}, writable by you alone")
    (state / "runs").mkdir()
    (state / "runs").chmod(0o770)
    assert seen() == ("failed", f"others may write to {state / 'runs'}, which holds images of rows: chmod 700 {state / 'runs'}")
