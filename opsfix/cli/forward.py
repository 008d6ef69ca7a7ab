"""``opsfix forward``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from opsfix.cli import options, session

if TYPE_CHECKING:
    from opsfix.forwarding.importing import Difference, Problem
    from opsfix.forwarding.reading import Reader

#: Those that operators forward; a file may name all that neutron knows.
protocol = click.option("--protocol", type=click.Choice(["tcp", "udp"]), default="tcp", show_default=True, help="What is forwarded.")
form = click.option("--format", "form", type=click.Choice(["yaml", "csv"]), help="The file's form. [default: by its suffix]")


@click.group("forward", context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Forward ports of floating IPs: list, add, remove, import, audit."""


@group.command(epilog="\b\nExample:\n  opsfix forward fips -o csv")
@options.output
@click.pass_context
def fips(ctx: click.Context, /, output: str) -> None:
    """List every project's floating IPs: free, forwarding ports, or in use by a port as such."""
    from opsfix.cli.listing import run_list
    from opsfix.forwarding.listing import FLOATING_IPS, floating_ips

    def read(cloud: Any, _: Any) -> dict[str, Any]:
        return {"schema": "opsfix.forward-fips/1", "floating_ips": floating_ips(_reader(cloud))}

    run_list(ctx, read, "floating_ips", FLOATING_IPS, output, wanted=())


@group.command(epilog="\b\nExamples:\n  opsfix forward ports            of every server\n  opsfix forward ports web-01")
@click.argument("server", required=False)
@options.output
@click.pass_context
def ports(ctx: click.Context, /, server: str | None, output: str) -> None:
    """List the addresses that can be forwarded to: of every server, or of SERVER (a name or an id; a port's does as well)."""
    from opsfix.cli.listing import run_list
    from opsfix.forwarding import listing, naming

    def read(cloud: Any, _: Any) -> dict[str, Any]:
        reader = _reader(cloud)
        found = naming.ports_of(cloud, server) if server is not None else listing.of_servers(reader)
        return {"schema": "opsfix.forward-ports/1", "ports": listing.ports(reader, found)}

    run_list(ctx, read, "ports", listing.PORTS, output, wanted=())


@group.command("list", epilog="\b\nExamples:\n  opsfix forward list\n  opsfix forward list 198.51.100.7 -o json")
@click.argument("floating_ip", metavar="[FIP]", required=False)
@options.output
@click.pass_context
def list_(ctx: click.Context, /, floating_ip: str | None, output: str) -> None:
    """List the forwardings of every floating IP, or of FIP (its address or id), with the servers that they lead to."""
    from opsfix.cli.listing import run_list
    from opsfix.forwarding import listing

    def read(cloud: Any, _: Any) -> dict[str, Any]:
        return {"schema": "opsfix.forward-list/1", "forwardings": _forwardings(_reader(cloud), floating_ip)}

    run_list(ctx, read, "forwardings", listing.FORWARDINGS, output, wanted=())


@group.command(epilog="""\
\b
Examples:
  opsfix forward add 198.51.100.7 --to web-01 --port 60122:22
  opsfix forward add 198.51.100.7 --to web-01:10.0.0.5 --port 80:8080 --port 443:8443
  opsfix forward add 198.51.100.7 --to web-01 --port 6000-6010:7000-7010 --protocol udp --dry-run

\b
Ranges need Zed or newer; as many ports inside as outside, or one inside. What is there already is left as it is.
Nothing is sent unless all of it can be: a port that is taken, a floating IP that a port has as such, a port with a
floating IP of its own, a router that does not lead there each say so in one line, and the exit code is 5.""")
@click.argument("floating_ip", metavar="FIP")
@click.option("--to", "target", required=True, metavar="SERVER|PORT[:INTERNAL_IP]",
              help="Where to: a server or a port, by id or exact name; with the address where it has several.")
@click.option("--port", "pairs", multiple=True, required=True, metavar="EXTERNAL:INTERNAL", help="Ports or ranges (repeatable).")
@protocol
@options.wishes
@click.pass_context
def add(ctx: click.Context, /, floating_ip: str, target: str, pairs: tuple[str, ...], protocol: str, **given: Any) -> None:
    """Forward ports of the floating IP FIP, an address or an id, to a server or a port."""
    from opsfix.cli.forwarding import Options, run_changes
    from opsfix.forwarding import naming, spans
    from opsfix.forwarding.changes import Batch, Wish, additions
    from opsfix.forwarding.importing import Difference
    from opsfix.resources import PortForwarding

    spans_given = [spans.pair(text) for text in pairs]

    def build(reader: Reader) -> Difference:
        found = naming.floating_ip(reader.network, floating_ip)
        port, address = naming.target(reader.cloud, target)
        wanted = [
            Wish(found, port, PortForwarding("", found.id, protocol, external, internal, port.id, address))
            for external, internal in spans_given
        ]
        return Difference(Batch.of(additions(reader, wanted)))

    ctx.exit(run_changes(ctx, "forward add", build, Options(**given)))


@group.command(epilog="""\
\b
Examples:
  opsfix forward remove 198.51.100.7 --port 60122
  opsfix forward remove 198.51.100.7 --port 53 --protocol udp
  opsfix forward remove 198.51.100.7 --id 9aa7bbd3-5d7c-4a4f-8f0b-4c2d5d1f7a11
  opsfix forward remove 198.51.100.7 --all --dry-run

\b
All fields of what is removed are in the run's journal.""")
@click.argument("floating_ip", metavar="FIP")
@click.option("--port", "externals", multiple=True, metavar="EXTERNAL", help="The forwarding of this port or range (repeatable).")
@protocol
@click.option("--id", "ids", multiple=True, metavar="ID", help="The forwarding with this id (repeatable).")
@click.option("--all", "everything", is_flag=True, help="Every forwarding of the floating IP, of every protocol.")
@options.wishes
@click.pass_context
def remove(
    ctx: click.Context, /, floating_ip: str, externals: tuple[str, ...], protocol: str, ids: tuple[str, ...], everything: bool,
    **given: Any,
) -> None:
    """Remove forwardings of the floating IP FIP, an address or an id, one after the other. The floating IP stays."""
    from opsfix.cli.forwarding import Options, run_changes
    from opsfix.errors import UsageError
    from opsfix.forwarding import naming, spans
    from opsfix.forwarding.changes import Batch, removals
    from opsfix.forwarding.importing import Difference, picked

    if bool(externals or ids) == everything:
        raise UsageError("name what to remove with --port or --id, or say --all (not both)")
    wanted = [spans.span(text) for text in externals]

    def build(reader: Reader) -> Difference:
        found = naming.floating_ip(reader.network, floating_ip)
        there = reader.network.forwardings(found.id)
        gone = there if everything else picked(there, found.address, protocol, wanted, ids)
        return Difference(Batch.of(removals(found, gone)), asks=everything)

    ctx.exit(run_changes(ctx, "forward remove", build, Options(**given)))


@group.command(epilog="""\
\b
Examples:
  opsfix forward export                       YAML on stdout
  opsfix forward export forwardings.csv
  opsfix forward export --format csv | sort""")
@click.argument("file", metavar="[FILE]", type=click.Path(dir_okay=False, allow_dash=True), required=False)
@form
@click.pass_context
def export(ctx: click.Context, /, file: str | None, form: str | None) -> None:
    """Write every forwarding to FILE, or to stdout, as YAML or CSV that 'forward import' reads."""
    from opsfix.forwarding.documents import dump, form_of

    kind = form_of(file, form)
    settings = session.settings(ctx)
    cloud = session.cloud(ctx, settings)
    cloud.connect()
    text = dump(_read(lambda: _forwardings(_reader(cloud), None)), kind)
    if file in (None, "-"):
        session.write(text)
    else:
        _write(str(file), text)


@group.command("import", epilog="""\
\b
Examples:
  opsfix forward import forwardings.yaml --dry-run     the difference, nothing changed
  opsfix forward import forwardings.csv                add what is missing
  opsfix forward import forwardings.csv --prune        and remove what the file has not, of the floating IPs it names

\b
Columns: floating_ip_address, protocol, external_port, internal_port, internal_port_id (or server, a name or an id),
internal_ip_address (where there are several), description. It can be repeated: what is there is left as it is, and
an import that was killed is finished by the next.""")
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True))
@form
@click.option("--prune", is_flag=True, help="Remove what the file has not, of the floating IPs that it names.")
@options.wishes
@click.pass_context
def import_(ctx: click.Context, /, file: str, form: str | None, prune: bool, **given: Any) -> None:
    """Make the forwardings of FILE (- for stdin), YAML or CSV. Nothing is sent unless all of it can be."""
    from opsfix.cli.forwarding import Options, run_changes
    from opsfix.forwarding import documents
    from opsfix.forwarding.importing import difference, wishes

    lines = documents.load(_text(file), documents.form_of(file, form))

    def build(reader: Reader) -> Difference | list[Problem]:
        wanted, problems = wishes(reader, lines)
        if problems:
            return problems
        found = difference(reader, wanted, prune=prune)
        _show(found)
        return found

    ctx.exit(run_changes(ctx, "forward import", build, Options(**given)))


@group.command(epilog="\b\nExamples:\n  opsfix forward audit\n  opsfix forward audit -o json || echo 'forwardings need a look'")
@options.output
@click.pass_context
def audit(ctx: click.Context, /, output: str) -> None:
    """Find forwardings that lead nowhere, collide, or are bound to a router that does not reach; changes nothing.

    Each with the command that repairs it. Exits 3 when there is any.
    """
    from opsfix.cli.listing import run_list
    from opsfix.forwarding import audit as auditing

    def read(cloud: Any, _: Any) -> dict[str, Any]:
        rows = [fault.as_dict() for fault in auditing.faults(auditing.read(_reader(cloud)))]
        if output == "table":  # one cell that is not cut
            rows = [row | {"reason": f"{row['reason']}: {row['command']}"} for row in rows]
        return {"schema": "opsfix.forward-audit/1", "findings": rows}

    columns = ("finding", "floating_ip_address", "protocol", "external_port", "reason")
    found = run_list(ctx, read, "findings", columns if output == "table" else (*columns, "command", "id"), output, wanted=())
    ctx.exit(3 if found["findings"] else 0)


def _reader(cloud: Any) -> Reader:
    from opsfix.forwarding.reading import Reader

    return Reader(cloud, workers=8)


def _forwardings(reader: Reader, floating_ip: str | None) -> list[dict[str, Any]]:
    from opsfix.forwarding import listing, naming

    network = reader.network
    found = list(network.every_floating_ip()) if floating_ip is None else [naming.floating_ip(network, floating_ip)]
    return listing.forwardings(reader, found)


def _read(read: Any) -> Any:
    from opsfix.errors import CloudRefused, CloudUnknown, ConfigError

    try:
        return read()
    except (CloudRefused, CloudUnknown) as e:
        raise ConfigError(f"the cloud cannot be read: {e}") from e


def _text(file: str) -> str:
    from opsfix.errors import UsageError

    try:
        with click.open_file(file, encoding="utf-8", errors="strict") as stream:
            return str(stream.read())
    except OSError as e:
        raise UsageError(f"{file} cannot be read: {e.strerror}") from e
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8") from None


def _write(file: str, text: str) -> None:
    """Whole or not at all: an older file is replaced only by a complete one."""
    from opsfix.errors import UsageError

    try:
        with click.open_file(file, "w", encoding="utf-8", atomic=True) as stream:
            stream.write(text)
    except OSError as e:
        raise UsageError(f"{file} cannot be written: {e.strerror}") from e


def _show(found: Difference) -> None:
    """The difference on stderr; what is the same is counted where it is much."""
    from opsfix.render import printable

    lines = found.lines()
    same = [line for line in lines if line.startswith("=")]
    for line in lines if len(same) <= 20 else (line for line in lines if not line.startswith("=")):
        click.echo(printable(line), err=True)
    if len(same) > 20:
        click.echo(f"= {len(same)} there already", err=True)
    if found.left:
        click.echo(f"{found.left} more are there that the file has not: --prune removes them", err=True)
