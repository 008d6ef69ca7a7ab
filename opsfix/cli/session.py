"""What a command needs before it does anything: settings, logging, the cloud, its databases."""

from __future__ import annotations

import codecs
import copy
import json
import logging
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from opsfix.config import Settings, read_settings
from opsfix.errors import ConfigError
from opsfix.secrets import masked

if TYPE_CHECKING:
    from opsfix.gateways.cloud import OpenStackCloud


def settings(ctx: click.Context, **options: Any) -> Settings:
    """Merge the options given with variables and files, and set up logging."""
    given = ctx.find_root().params
    _logging(given)
    return read_settings(
        {"services_conf_dir": given["services_conf_dir"], "state_dir": given["state_dir"]} | options, given["config_file"]
    )


def cloud(ctx: click.Context, found: Settings) -> OpenStackCloud:
    """The cloud's API, not yet connected."""
    from opsfix.gateways.cloud import OpenStackCloud

    given = ctx.find_root().params
    return OpenStackCloud(
        given["os_cloud"], given["os_region_name"], timeout=found["timeout"], workers=found["workers"],
        files=found.service_files(),
    )


class _Masked(logging.Formatter):
    """Keeps passwords out of the log, whoever writes them there, and tracebacks to those who asked for them."""

    def __init__(self, *, tracebacks: bool):
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        if not self._tracebacks:
            record = copy.copy(record)
            record.exc_info = record.exc_text = record.stack_info = None
        return masked(super().format(record))


def _logging(given: dict[str, Any]) -> None:
    level = logging.DEBUG if given["debug"] else (logging.WARNING, logging.INFO)[min(given["verbose"], 1)]
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if given["log_file"]:
        try:
            handler = logging.FileHandler(given["log_file"], encoding="utf-8")
        except OSError as e:
            raise ConfigError(f"the log file {given['log_file']} cannot be written: {e.strerror}") from e
    elif not given["debug"]:
        level = max(level, logging.ERROR) if not given["verbose"] else level
    handler.setFormatter(_Masked(tracebacks=given["debug"]))
    if not given["debug"]:  # it tells of connections that were lost, which opsfix tells itself
        logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    for name in ("keystoneauth", "cinderclient", "novaclient"):  # they log bodies, which hold connection data
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)


@contextmanager
def signals(numbers: Iterable[int], handler: Callable[..., None]) -> Iterator[None]:
    """Handle these signals, but those that are ignored: nohup and a shell's & mean it."""
    heard = [n for n in numbers if signal.getsignal(n) is not signal.SIG_IGN]
    before = {n: signal.signal(n, handler) for n in heard}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def write(text: str) -> None:
    """The result, to stdout; a reader that went away is no error of ours."""
    with suppress(BrokenPipeError):
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError:
            encoding = sys.stdout.encoding
            sys.stdout.write(text.encode(encoding, "opsfix.escape").decode(encoding))
        sys.stdout.flush()


def _escape(error: UnicodeError) -> tuple[str, int]:
    """What the terminal's encoding has not, escaped as JSON does it, so that JSON stays JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(json.dumps(c)[1:-1] for c in error.object[error.start:error.end]), error.end


codecs.register_error("opsfix.escape", _escape)


def warn(text: str) -> None:
    """One line on stderr, for an operator to read."""
    from opsfix.render import printable

    click.echo(f"opsfix: {printable(masked(text))}", err=True)
