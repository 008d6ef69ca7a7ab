"""The services' own commands: when they are used, what they are told, and how their end is read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from opsfix.config import Settings, Value, read_settings
from opsfix.errors import CloudRefused, CloudUnknown
from opsfix.gateways.manage import Manage


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of programs that is searched first."""
    found = tmp_path / "bin"
    found.mkdir()
    monkeypatch.setenv("PATH", f"{found}:/usr/bin:/bin")
    return found


def install(programs: Path, name: str, body: str) -> None:
    """A program that notes its arguments, one a line, then does the rest."""
    path = programs / name
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" -- >> {programs}/told\n{body}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def told(programs: Path) -> list[list[str]]:
    """The arguments of each call."""
    return [call.split("\n")[:-1] for call in (programs / "told").read_text().split("--\n") if call]


def test_a_command_needs_its_program_and_the_file_of_the_proven_database(programs: Path) -> None:
    file = Path("/etc/cinder/cinder.conf")
    assert not Manage({"cinder": file}).available("cinder")
    install(programs, "cinder-manage", "exit 0")
    assert Manage({"cinder": file}).available("cinder")
    assert not Manage({}).available("cinder")
    assert not Manage({"cinder": file}).available("nova")
    with pytest.raises(CloudRefused, match="there is no cinder-manage"):
        Manage({}).remove_volume_service("cinder-backup", "store")


def test_it_is_told_the_services_file_and_the_drop_ins_beside_it(programs: Path, tmp_path: Path) -> None:
    install(programs, "cinder-manage", "exit 0")
    (tmp_path / "cinder.conf.d").mkdir()
    file = tmp_path / "cinder.conf"
    Manage({"cinder": file}).remove_volume_service("cinder-volume", "störe@l vm; x")
    assert told(programs) == [[
        f"--config-file={file}", f"--config-dir={tmp_path}/cinder.conf.d", "service", "remove", "cinder-volume", "störe@l vm; x",
    ]]


def test_a_host_is_never_an_option(programs: Path) -> None:
    install(programs, "cinder-manage", "exit 0")
    with pytest.raises(CloudRefused, match="for an option"):
        Manage({"cinder": Path("x")}).remove_volume_service("cinder-volume", "--help")
    assert not (programs / "told").exists()


def test_its_last_words_are_told(programs: Path) -> None:
    install(programs, "cinder-manage", "echo Host not found. Failed to remove; echo; echo noise >&2; exit 2")
    with pytest.raises(CloudRefused, match=r"cinder-manage exited 2: noise"):
        Manage({"cinder": Path("x")}).remove_volume_service("cinder-volume", "store")
    install(programs, "cinder-manage", "exit 1")
    with pytest.raises(CloudRefused, match="exited 1: it said nothing"):
        Manage({"cinder": Path("x")}).remove_volume_service("cinder-volume", "store")


def test_one_that_does_not_end_is_unknown(programs: Path) -> None:
    install(programs, "cinder-manage", "exec sleep 60")
    with pytest.raises(CloudUnknown, match="did not end within"):
        Manage({"cinder": Path("x")}, seconds=0.2).remove_volume_service("cinder-volume", "store")


def test_hosts_are_discovered_once_whoever_asks(programs: Path) -> None:
    install(programs, "nova-manage", "exit 0")
    manage = Manage({"nova": Path("x")})
    for by_service in (True, True, False, False):
        manage.discover_hosts(by_service=by_service)
    assert [call[1:] for call in told(programs)] == [["cell_v2", "discover_hosts", "--by-service"], ["cell_v2", "discover_hosts"]]


def test_a_discovery_that_failed_failed_for_all(programs: Path) -> None:
    install(programs, "nova-manage", "echo ERROR: Duplicate host mapping; exit 2")
    manage = Manage({"nova": Path("x")})
    for _ in range(2):
        with pytest.raises(CloudRefused, match="Duplicate host mapping"):
            manage.discover_hosts(by_service=False)
    assert len(told(programs)) == 1


def test_only_a_database_of_the_services_own_file_is_its_commands() -> None:
    own, given = Value("mysql://a/cinder", "", Path("/etc/cinder/cinder.conf")), Value("mysql://b/nova_api", "variable")
    assert Settings(databases={"cinder": own, "nova_api": given}).service_files() == {"cinder": own.file}
    assert Settings(databases={"cinder": Value(None, "not readable", own.file)}).service_files() == {}


def test_a_services_file_is_known_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "nova.conf"
    file.write_text("[api_database]\nconnection = mysql+pymysql://u:p@h/nova_api\n")
    found = read_settings({"services_conf_dir": str(tmp_path)}, environ={})
    assert found.service_files() == {"nova": file}
    overridden = read_settings({"services_conf_dir": str(tmp_path)}, environ={"OPSFIX_DATABASE_NOVA_API": "mysql://x/y"})
    assert overridden.service_files() == {}
