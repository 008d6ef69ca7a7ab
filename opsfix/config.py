"""Where opsfix finds its cloud: every setting knows where it came from.

In this order: options, ``OPSFIX_*`` variables, ``--config`` or /etc/opsfix/opsfix.toml, then
~/.config/opsfix/opsfix.toml, and for databases last the services' own files, read with oslo.config as the services read
them. The first that has a value wins, value by value. What exists and may not be read is told, never taken for absent.
"""

from __future__ import annotations

import errno
import math
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsfix.errors import ConfigError

SYSTEM_FILE = Path("/etc/opsfix/opsfix.toml")

#: database -> (service's directory, file, group of its 'connection')
SERVICE_FILES = {
    "cinder": ("cinder", "cinder.conf", "database"),
    "nova_api": ("nova", "nova.conf", "api_database"),
    "nova": ("nova", "nova.conf", "database"),
    "glance": ("glance", "glance-api.conf", "database"),
    "neutron": ("neutron", "neutron.conf", "database"),
    "placement": ("placement", "placement.conf", "placement_database"),
    "keystone": ("keystone", "keystone.conf", "database"),
}
#: setting -> (default, what it is)
SETTINGS: dict[str, tuple[Any, str]] = {
    "services_conf_dir": ("/etc", "directory of the services' own files"),
    "state_dir": (None, "directory of the journal"),
    "backup_dir": ("/var/backups/opsfix", "directory of the databases' backups"),
    "timeout": (90.0, "seconds for one API request"),
    "deadline": (60.0, "seconds for an accepted change to show"),
    "workers": (8, "API calls in flight"),
}
_PASSWORD = re.compile(r"://[^/@]*:[^@]+@")
_KIND = re.compile(r"(\w+)(\+\w+)?://")
#: The files that were read, each with its content.
Files = Sequence[tuple[Path, Mapping[str, Any]]]


@dataclass(frozen=True)
class Value:
    """A setting and where it came from, in words; ``file`` is the service's own, for what was found there."""

    value: Any
    origin: str
    file: Path | None = None


@dataclass(frozen=True)
class Settings:
    """All settings. ``databases`` maps a name of SERVICE_FILES to its URL, or to None with the reason as its origin.

    ``warnings`` are for people, once a run.
    """

    values: Mapping[str, Value] = field(default_factory=dict)
    databases: Mapping[str, Value] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def __getitem__(self, name: str) -> Any:
        return self.values[name].value

    def database(self, name: str) -> str | None:
        """A database's URL, None when none is configured."""
        found = self.databases.get(name)
        return found.value if found else None

    def service_files(self) -> dict[str, Path]:
        """Service -> its own file, for those whose database, by which its commands change something, is read from there."""
        found = {service: self.databases.get(name) for service, name in (("nova", "nova_api"), ("cinder", "cinder"))}
        return {service: value.file for service, value in found.items() if value and value.value and value.file}


def read_settings(
    options: Mapping[str, Any], config: str | None = None, environ: Mapping[str, str] = os.environ
) -> Settings:
    """Merge all sources. ``options`` are those given on the command line; None is not given.

    Raises ConfigError for a file that is named and cannot be read or a value that cannot be meant, naming both.
    """
    files, warnings = _files(config, environ)
    values = {name: _setting(name, options, environ, files) for name in SETTINGS}
    databases = dict(_databases(environ, files))
    root = Path(str(values["services_conf_dir"].value))
    for name, found in _discovered(root, required=values["services_conf_dir"].origin != "default"):
        databases.setdefault(name, found)
    warnings += dict.fromkeys(
        f"{d.origin}: its databases count as not configured"
        for d in databases.values() if d.origin.startswith("not readable")
    )
    return Settings(values, databases, warnings)


def home() -> Path | None:
    """The user's home, None for a user without one (cron, containers)."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def _files(config: str | None, environ: Mapping[str, str]) -> tuple[Files, list[str]]:
    given = config or environ.get("OPSFIX_CONFIG")
    if given:
        try:
            content = _read(Path(given))
        except PermissionError as e:
            raise ConfigError(f"the configuration file {given} cannot be read: {e.strerror}") from e
        if content is None:
            raise ConfigError(f"the configuration file {given} does not exist")
        return [(Path(given), content)], _exposed(Path(given), content)
    base = environ.get("XDG_CONFIG_HOME") or ((found := home()) and found / ".config")
    read, warnings = [], []
    for path in [SYSTEM_FILE, *([Path(base) / "opsfix" / "opsfix.toml"] if base else [])]:
        try:
            content = _read(path)
        except PermissionError:
            warnings.append(f"not readable: {path}: what it sets is not used")
        else:
            read += [(path, content)] if content is not None else []
            warnings += _exposed(path, content or {})
    return read, warnings


def _exposed(path: Path, content: Mapping[str, Any]) -> list[str]:
    """A warning for a file whose passwords everybody may read, or in whose URLs others may put another server."""
    if not any(_PASSWORD.search(url) for url in content.get("databases", {}).values()):
        return []
    mode = path.stat().st_mode
    may = "read" if mode & 0o004 else "write to" if mode & 0o022 else None
    return [f"others may {may} {path}, which holds passwords: chmod 600 {path}"] if may else []


def _read(path: Path) -> dict[str, Any] | None:
    """The file's settings, None when there is no such file; raises PermissionError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise
    except OSError as e:
        raise ConfigError(f"the configuration file {path} cannot be read: {e.strerror}") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ConfigError(f"the configuration file {path} is not TOML: {e}") from e
    _known(path, content)
    return content


def _known(path: Path, content: Mapping[str, Any]) -> None:
    databases = content.get("databases", {})
    if not isinstance(databases, dict):
        raise ConfigError(f"{path}: [databases] must be a table of names and URLs")
    strange = set(content) - set(SETTINGS) - {"databases"} | {f"databases.{d}" for d in set(databases) - set(SERVICE_FILES)}
    if strange:
        raise ConfigError(f"{path}: unknown settings: {', '.join(sorted(strange))}")
    wrong = [d for d, url in databases.items() if not isinstance(url, str)]
    if wrong:
        raise ConfigError(f"{path}: databases.{wrong[0]} must be the text of a URL")


def _setting(name: str, options: Mapping[str, Any], environ: Mapping[str, str], files: Files) -> Value:
    default = SETTINGS[name][0]
    variable = f"OPSFIX_{name.upper()}"
    if options.get(name) is not None:
        return Value(options[name], f"option --{name.replace('_', '-')}")
    sources = [(environ.get(variable), f"variable {variable}"), *((c.get(name), f"file {path}") for path, c in files)]
    for found, origin in sources:
        if found not in (None, ""):
            return Value(_typed(name, found, default, origin), origin)
    return Value(default, "default")


def _typed(name: str, found: Any, default: Any, origin: str) -> Any:
    if not isinstance(default, (int, float)):
        if not isinstance(found, str):
            raise ConfigError(f"{name} must be a text, not {found!r} ({origin})")
        return found
    kind = type(default)
    try:
        number = kind(found)
    except (TypeError, ValueError, OverflowError):
        number = kind(0)
    cut = isinstance(found, bool) or (isinstance(found, float) and number != found)
    if cut or number <= 0 or not math.isfinite(number):
        what = "number" if kind is float else "integer"
        raise ConfigError(f"{name} must be a positive {what}, not {found!r} ({origin})")
    return number


def _databases(environ: Mapping[str, str], files: Files) -> Iterator[tuple[str, Value]]:
    for name in SERVICE_FILES:
        variable = f"OPSFIX_DATABASE_{name.upper()}"
        sources = [(environ.get(variable), f"variable {variable}")]
        sources += [(content.get("databases", {}).get(name), f"file {path}") for path, content in files]
        found = next((Value(url, origin) for url, origin in sources if url), None)
        if found:
            yield name, found


def _discovered(root: Path, *, required: bool) -> Iterator[tuple[str, Value]]:
    if required and not _is_directory(root):
        raise ConfigError(f"the directory of the services' files {root} does not exist")
    for name, (service, file, group) in SERVICE_FILES.items():
        for path in (root / service / file, root / file):
            try:
                if not path.is_file():
                    continue
                connection = _connection(path, group)
            except PermissionError as e:
                yield name, Value(None, f"not readable: {e.filename or path}")
            else:
                if connection:
                    yield name, _usable(connection, f"[{group}]connection in {path}", path)
            break


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError:
        return True  # each of its files will be told as not readable


def _usable(connection: str, origin: str, path: Path) -> Value:
    """A service's connection; one to another kind of database, as a package's default of SQLite, is not opsfix's."""
    kind = _KIND.match(connection)
    if kind and kind[1] not in ("mysql", "mariadb"):
        return Value(None, f"not usable: {kind[1]} in {path}")
    return Value(connection, origin, path)


def drop_ins(path: Path) -> list[Path]:
    """The directories of drop-ins beside a service's file."""
    return [d for d in (path.parent / f"{path.name}.d", path.with_suffix(".d")) if d.is_dir()]


def _connection(path: Path, group: str) -> str | None:
    """``connection`` as the service would read it. Raises PermissionError when a file may not be read."""
    from oslo_config import cfg

    conf = _as_the_service(path, group, [cfg.StrOpt("connection", deprecated_name="sql_connection")])
    return conf[group].connection or None


def snapshots_counted(root: Path) -> bool | None:
    """Whether cinder adds the size of snapshots to a project's gigabytes, by the cinder.conf under ``root``; None where
    there is none, or it may not be read. Source: no_snapshot_gb_quota of cinder/db/api.py."""
    from oslo_config import cfg

    for path in (root / "cinder" / "cinder.conf", root / "cinder.conf"):
        try:
            if path.is_file():
                return not _as_the_service(path, None, [cfg.BoolOpt("no_snapshot_gb_quota", default=False)]).no_snapshot_gb_quota
        except PermissionError:
            return None
    return None


def _as_the_service(path: Path, group: str | None, options: list[Any]) -> Any:
    """The options of a group, None for [DEFAULT], as the service would read them: its file and the drop-ins beside it.

    Raises PermissionError when one of them may not be read: it might have the value that counts.
    """
    from oslo_config import cfg

    conf = cfg.ConfigOpts()
    conf.register_opts(options, group)
    conf.register_opt(cfg.StrOpt("my_ip", default="127.0.0.1"))
    conf.register_opt(cfg.HostAddressOpt("host", default="localhost"))
    drop_ins = [d for d in (path.parent / f"{path.name}.d", path.with_suffix(".d")) if d.is_dir()]
    for each in (path, *drop_ins, *(file for d in drop_ins for file in d.glob("*.conf"))):
        if not os.access(each, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(each))
    try:
        conf(
            args=[], project="opsfix-reads", default_config_files=[str(path)],
            default_config_dirs=[str(d) for d in drop_ins],
        )
        for option in options:
            (conf[group] if group else conf)[option.name]
    except cfg.Error as e:
        raise ConfigError(f"{path} cannot be read as the service reads it: {str(e).splitlines()[0]}") from None
    return conf
