"""The command line: click and nothing else is imported before a command runs."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from opsfix import __version__
from opsfix.cli.options import globally
from opsfix.errors import ExitCode, OpsfixError

#: noun -> (module, what it is for)
NOUNS = {
    "apply": ("opsfix.cli.apply", "Carry out a plan that --plan-out wrote, exactly that."),
    "agent": ("opsfix.cli.agent", "List the services' agents; remove those that are dead."),
    "compute": ("opsfix.cli.compute", "List compute hosts; take dead ones out of every service."),
    "config": ("opsfix.cli.config", "Show and check where opsfix finds its cloud."),
    "doctor": ("opsfix.cli.doctor", "Look at everything: what is broken, and the command that repairs it."),
    "forward": ("opsfix.cli.forward", "Forward ports of floating IPs: list, add, remove, import, audit."),
    "history": ("opsfix.cli.history", "Runs of opsfix: which there were, and what each did."),
    "image": ("opsfix.cli.image", "Purge images, once nobody needs them."),
    "db": ("opsfix.cli.db", "Back the databases up, prove and restore backups, look at the servers."),
    "instance": ("opsfix.cli.instance", "Repair, restore and purge servers; list their addresses."),
    "placement": ("opsfix.cli.placement", "Find and clean what placement counts for nobody."),
    "port": ("opsfix.cli.port", "Find and repair ports of servers: bindings that failed, servers that are gone."),
    "undo": ("opsfix.cli.undo", "Put back what a run changed, row by row."),
    "volume": ("opsfix.cli.volume", "Repair volumes: stuck states, mappings and attachments, quota counts."),
}


class Nouns(click.Group):
    """Loads a noun's module only when that noun is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The nouns."""
        return sorted(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The noun's group."""
        if cmd_name not in NOUNS:
            return None
        found: click.Command = importlib.import_module(NOUNS[cmd_name][0]).group
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the nouns without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(noun, text) for noun, (_, text) in sorted(NOUNS.items())])


@click.group(cls=Nouns, context_settings={"help_option_names": ["-h", "--help"]}, epilog="""\
\b
Examples:
  opsfix volume unstick --all --dry-run     what is stuck, and what would be done
  opsfix volume unstick --all               repair by API, show the SQL for the rest
  opsfix volume unstick --all --commit      commit the SQL that was shown
  opsfix config check                       can everything be reached?

\b
Exit codes: 0 all is well, 1 a defect of opsfix, 2 usage, 3 findings not attempted (dry run, or SQL waiting for --commit),
4 still broken, 5 refused by a guard or limit, 6 outcome unknown, 7 configuration or connection,
8 another run at work, 130 interrupted.""")
@globally
@click.version_option(__version__, prog_name="opsfix")
def cli(**_: Any) -> None:
    """Day-2 repairs for OpenStack.

    Proves what is broken, repairs it through the service's own API, and falls back to guarded SQL, shown first, only
    for what no API call can do.
    """


def main() -> None:
    """Run the command; whatever goes wrong ends in one line on stderr and an exit code of the table."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = _say("interrupted", ExitCode.INTERRUPTED)
    except KeyboardInterrupt:
        code = _say("interrupted", ExitCode.INTERRUPTED)
    except click.ClickException as e:
        e.show()
        code = ExitCode.USAGE
    except OpsfixError as e:
        code = _say(str(e), e.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        code = ExitCode.OK
    except Exception as e:  # noqa: BLE001  a traceback is for --debug, never for an operator at night
        code = _bug(e)
    sys.exit(int(code or 0))


def _say(text: str, code: ExitCode) -> ExitCode:
    from opsfix.cli.session import warn

    warn(text)
    return code


def _bug(error: Exception) -> ExitCode:
    import logging

    logging.getLogger("opsfix").debug("a defect", exc_info=error)
    return _say(
        f"a defect of opsfix ({type(error).__name__}: {error}): run it again with --debug --log-file FILE and report it"
        " with that file",
        ExitCode.BUG,
    )
