"""Exceptions, and the one table of exit codes."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What every command's exit status means."""

    OK = 0
    BUG = 1
    USAGE = 2
    REMAINING = 3
    FAILED = 4
    REFUSED = 5
    UNKNOWN = 6
    CONNECTION = 7
    LOCKED = 8
    INTERRUPTED = 130


#: Several may apply to one run: the first of these wins.
PRECEDENCE = (
    ExitCode.INTERRUPTED,
    ExitCode.BUG,
    ExitCode.CONNECTION,
    ExitCode.LOCKED,
    ExitCode.UNKNOWN,
    ExitCode.FAILED,
    ExitCode.REFUSED,
    ExitCode.REMAINING,
    ExitCode.OK,
)


class OpsfixError(Exception):
    """Ends the run with one line on stderr and ``exit_code``."""

    exit_code = ExitCode.BUG


class UsageError(OpsfixError):
    """The command line asks for something that cannot be meant."""

    exit_code = ExitCode.USAGE


class ConfigError(OpsfixError):
    """Configuration, credentials or a connection is missing or wrong."""

    exit_code = ExitCode.CONNECTION


class GuardError(OpsfixError):
    """A guard or a limit refuses the whole run."""

    exit_code = ExitCode.REFUSED


class LockedError(OpsfixError):
    """Another run holds the cloud's lock."""

    exit_code = ExitCode.LOCKED


class TargetNotFound(OpsfixError):
    """A named target, or a run, does not exist."""

    exit_code = ExitCode.FAILED


class JournalError(OpsfixError):
    """The journal cannot be written: the run stops before the change it could not record."""

    exit_code = ExitCode.FAILED


class BackupError(OpsfixError):
    """A backup could not be taken, is not whole, or could not be brought back."""

    exit_code = ExitCode.FAILED


class CloudRefused(Exception):
    """A service said a definite no (4xx); ``status`` is the HTTP status, the text is the service's own."""

    def __init__(self, status: int, text: str):
        super().__init__(f"HTTP {status}: {text}" if status else text)
        self.status = status


class CloudUnknown(Exception):
    """A call whose effect is not known: time-out, dropped connection, 5xx. Never read as absence."""


class DatabaseRefused(Exception):
    """A guard of an SQL fallback did not hold when it was about to write; nothing was changed."""


class DatabaseUnknown(Exception):
    """The connection was lost while committing and reading back did not settle what happened."""
