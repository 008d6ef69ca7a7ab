"""Where opsfix finds its cloud: every setting knows where it came from.

In this order: options, ``OPSFIX_*`` variables, ``--config`` or /etc/opsfix/opsfix.toml, then ~/.config/opsfix/opsfix.toml,
and for databases last the services' own files, read with oslo.config as the services read them.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
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
}
#: setting -> (default, what it is)
SETTINGS: dict[str, tuple[Any, str]] = {
    "services_conf_dir": ("/etc", "directory of the services' own files"),
    "state_dir": (None, "directory of the journal"),
    "timeout": (90.0, "seconds for one API request"),
    "deadline": (60.0, "seconds for an accepted change to show"),
    "workers": (8, "API calls in flight"),
}


@dataclass(frozen=True)
class Value:
    """A setting and where it came from, in words."""

    value: Any
    origin: str


@dataclass(frozen=True)
class Settings:
    """All settings. ``databases`` maps a name of SERVICE_FILES to its URL."""

    values: Mapping[str, Value] = field(default_factory=dict)
    databases: Mapping[str, Value] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values[name].value

    def database(self, name: str) -> str | None:
        """A database's URL, None when none is configured."""
        found = self.databases.get(name)
        return found.value if found else None


def read_settings(
    options: Mapping[str, Any], config: str | None = None, environ: Mapping[str, str] = os.environ
) -> Settings:
    """Merge all sources. ``options`` are those given on the command line; None is not given.

    Raises ConfigError for a file that cannot be read or a value that cannot be meant, naming both.
    """
    path, content = _file(config, environ)
    values = {name: _setting(name, options, environ, path, content) for name in SETTINGS}
    databases = dict(_databases(environ, path, content))
    root = Path(str(values["services_conf_dir"].value))
    for name, found in _discovered(root, required=values["services_conf_dir"].origin != "default"):
        databases.setdefault(name, found)
    return Settings(values, databases)


def _file(config: str | None, environ: Mapping[str, str]) -> tuple[Path | None, dict[str, Any]]:
    given = config or environ.get("OPSFIX_CONFIG")
    home = environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    candidates = [Path(given)] if given else [SYSTEM_FILE, Path(home) / "opsfix" / "opsfix.toml"]
    for path in candidates:
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if given:
                raise ConfigError(f"the configuration file {path} does not exist") from None
            continue
        except OSError as e:
            if not given and isinstance(e, PermissionError):
                continue
            raise ConfigError(f"the configuration file {path} cannot be read: {e.strerror}") from e
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
            raise ConfigError(f"the configuration file {path} is not TOML: {e}") from e
        _known(path, content)
        return path, content
    return None, {}


def _known(path: Path, content: Mapping[str, Any]) -> None:
    databases = content.get("databases", {})
    if not isinstance(databases, dict):
        raise ConfigError(f"{path}: [databases] must be a table of names and URLs")
    strange = set(content) - set(SETTINGS) - {"databases"} | {f"databases.{d}" for d in set(databases) - set(SERVICE_FILES)}
    if strange:
        raise ConfigError(f"{path}: unknown settings: {', '.join(sorted(strange))}")


def _setting(
    name: str, options: Mapping[str, Any], environ: Mapping[str, str], path: Path | None, content: Mapping[str, Any]
) -> Value:
    default = SETTINGS[name][0]
    variable = f"OPSFIX_{name.upper()}"
    if options.get(name) is not None:
        return Value(options[name], f"option --{name.replace('_', '-')}")
    for found, origin in ((environ.get(variable), f"variable {variable}"), (content.get(name), f"file {path}")):
        if found not in (None, ""):
            return Value(_typed(name, found, default, origin), origin)
    return Value(default, "default")


def _typed(name: str, found: Any, default: Any, origin: str) -> Any:
    if not isinstance(default, (int, float)):
        return str(found)
    try:
        number = type(default)(found)
    except (TypeError, ValueError):
        number = type(default)(0)
    if number <= 0:
        raise ConfigError(f"{name} must be a positive number, not {found!r} ({origin})")
    return number


def _databases(
    environ: Mapping[str, str], path: Path | None, content: Mapping[str, Any]
) -> Iterator[tuple[str, Value]]:
    for name in SERVICE_FILES:
        variable = f"OPSFIX_DATABASE_{name.upper()}"
        if environ.get(variable):
            yield name, Value(environ[variable], f"variable {variable}")
        elif name in content.get("databases", {}):
            yield name, Value(str(content["databases"][name]), f"file {path}")


def _discovered(root: Path, *, required: bool) -> Iterator[tuple[str, Value]]:
    if required and not root.is_dir():
        raise ConfigError(f"the directory of the services' files {root} does not exist")
    for name, (service, file, group) in SERVICE_FILES.items():
        path = next((p for p in (root / service / file, root / file) if _readable(p)), None)
        connection = _connection(path, group) if path else None
        if connection:
            yield name, Value(connection, f"[{group}]connection in {path}")


def _readable(path: Path) -> bool:
    try:
        return path.is_file() and os.access(path, os.R_OK)
    except OSError:
        return False


def _connection(path: Path, group: str) -> str | None:
    """``connection`` as the service would read it: its file and the directory of drop-ins beside it."""
    from oslo_config import cfg

    conf = cfg.ConfigOpts()
    conf.register_opt(cfg.StrOpt("connection", deprecated_name="sql_connection"), group)
    conf.register_opt(cfg.StrOpt("my_ip", default="127.0.0.1"))
    conf.register_opt(cfg.HostAddressOpt("host", default="localhost"))
    drop_ins = [str(d) for d in (path.parent / f"{path.name}.d", path.with_suffix(".d")) if d.is_dir()]
    try:
        conf(args=[], project="opsfix-reads", default_config_files=[str(path)], default_config_dirs=drop_ins)
        return conf[group].connection or None
    except cfg.Error as e:
        raise ConfigError(f"{path} cannot be read as the service reads it: {str(e).splitlines()[0]}") from None
