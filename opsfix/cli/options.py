"""The shared options, each spelled once."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Age(click.ParamType[timedelta]):
    """A time span such as 30s, 15m, 2h or 1d."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Parse it."""
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"(\d{1,7})([smhd])", str(value).strip())
        if not match:
            self.fail(f"{value!r} is not a time span such as 30s, 15m, 2h or 1d", param, ctx)
        return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def _all(options: list[Callable[[F], F]]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


globally = _all([
    click.option("--os-cloud", envvar="OS_CLOUD", help="The cloud's name in clouds.yaml."),
    click.option("--os-region-name", envvar="OS_REGION_NAME", help="Its region."),
    click.option("--config", "config_file", envvar="OPSFIX_CONFIG", type=click.Path(dir_okay=False),
                 help="opsfix's own file, instead of /etc/opsfix/opsfix.toml."),
    click.option("--services-conf-dir", help="Directory of nova.conf, cinder.conf and so on, instead of /etc."
                 " [env: OPSFIX_SERVICES_CONF_DIR]"),
    click.option("--state-dir", help="Where journals are kept. [env: OPSFIX_STATE_DIR]"),
    click.option("-v", "--verbose", count=True, envvar="OPSFIX_VERBOSE", help="Say more on stderr."),
    click.option("--debug", is_flag=True, envvar="OPSFIX_DEBUG", help="Log every request (no bodies) and tracebacks."),
    click.option("--log-file", envvar="OPSFIX_LOG_FILE", type=click.Path(dir_okay=False), help="Log there instead of to stderr."),
])

output = click.option(
    "-o", "--output", type=click.Choice(["table", "json", "yaml", "csv", "value"]), default="table", show_default=True,
    envvar="OPSFIX_OUTPUT", help="Form of the result on stdout.",
)

_dry_run = click.option("--dry-run", is_flag=True, help="Change nothing anywhere; show the plan.")
_workers = click.option("--workers", type=click.IntRange(1, 64), help="API calls in flight. [default: 8]")
_yes = click.option("-y", "--yes", is_flag=True, help="Ask no question.")
_fenced = click.option(
    "--fenced", multiple=True, metavar="HOST", help="You assert that HOST is off or cut from its storage (repeatable)."
)

_commit = click.option("--commit", is_flag=True, help="Commit the guarded SQL for what the API cannot repair.")

_changes = [
    _dry_run,
    _commit,
    click.option("--older-than", type=Age(), default="15m", show_default=True, metavar="AGE",
                 help="Leave alone what changed less than this ago; 0s takes everything."),
    _fenced,
    click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True,
                 help="Refuse the run when there are more findings; 0 lifts it."),
    click.option("--plan-out", type=click.Path(path_type=Path), metavar="FILE",
                 help="With --dry-run: write the plan there, for 'opsfix apply FILE'."),
    _workers,
    _yes,
    output,
]

#: For commands that repair what is named, or all that is broken.
repairs = _all([
    click.option("--all", "everything", is_flag=True, help="Every finding of this kind, in all projects."), *_changes,
])
#: For commands that destroy what is named.
purges = _all(_changes)
#: For commands that bring something to be as it is asked for, by API only.
wishes = _all([_dry_run, _workers, _yes, output])
#: For a command that empties a host.
draining = _all([_dry_run, _fenced, _yes, output])
#: For a command that makes hosts known.
discovering = _all([_dry_run, _commit, _workers, _yes, output])
