"""The one way in which every audit runs: a repair command's finder and its looks, and nothing else."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from shlex import quote
from typing import Any

import click

from opsfix.cli import session
from opsfix.cli.proving import prove
from opsfix.cli.repairing import Command
from opsfix.engine.run import Run
from opsfix.engine.way import Finding
from opsfix.errors import CloudRefused, CloudUnknown, ConfigError, DatabaseUnknown, ExitCode
from opsfix.gateways.opening import open_databases
from opsfix.guards import Unread, said
from opsfix.model import Mode
from opsfix.render import Progress, flat, structured, table
from opsfix.scene import Scene
from opsfix.secrets import plain

COLUMNS = ("finding", "id", "name", "reason")
#: A call that an advice names.
_NAMED = re.compile(r"'((?:openstack|[a-z]+-manage|opsfix) [^']+)'")


@dataclass
class Audited:
    """What one finder found, as rows of JSON; ``unchecked`` could not be read. A row's ``command`` repairs it, ``all``
    everything of its kind."""

    findings: list[dict[str, Any]] = field(default_factory=list)
    unchecked: list[dict[str, Any]] = field(default_factory=list)

    @property
    def exit_code(self) -> ExitCode:
        """6 where something could not be read, 3 where something is wrong."""
        return ExitCode.UNKNOWN if self.unchecked else ExitCode.REMAINING if self.findings else ExitCode.OK


def audited(command: Command, scene: Scene, workers: int, progress: Any = lambda *_: None, *, option: str = "") -> Audited:
    """Find what the command would repair or refuse, each looked at as it looks; ``option`` is what its targets are given
    by where they are no arguments. Raises CloudUnknown, CloudRefused, DatabaseUnknown and OpsfixError."""
    run = Run(command.subject, command.repairs, scene, Mode.DRY_RUN, lambda _: lambda *_, **__: None, workers, progress)
    found = Audited()
    for finding in run.find(command.find(scene), named=False):
        if finding.problem:
            found.unchecked.append({"type": command.subject.type, "id": finding.id, "reason": finding.problem})
        elif finding.look and finding.planned and finding.planned.repair:
            found.findings.append(_row(command, finding, option))
    if run.ended:
        reason = "the run ended before everything was looked at"
        found.unchecked.append({"type": command.subject.type, "id": None, "reason": reason})
    return found


def _row(command: Command, finding: Finding, option: str) -> dict[str, Any]:
    look, planned = finding.look, finding.planned
    assert look
    assert planned
    assert planned.repair
    repair = planned.repair
    refusal = planned.refusal or ""
    commit = " --commit" if not repair.api and repair.fallback else ""
    named = _NAMED.search(refusal)
    told = named[1] if named and "--fenced" not in named[1] else None  # that a host is off is the operator's own word
    return {
        "finding": repair.symptom, "type": command.subject.type, "id": finding.id, "name": look.name, "project_id": look.project_id,
        "reason": said(repair.means, look.facts) + (f": {refusal}" if refusal else ""),
        "refused": bool(refusal),
        "command": told if refusal else f"opsfix {command.name} {option}{quote(finding.id)}{commit}",
        "all": None if refusal else f"opsfix {command.name} --all{commit}",
        "changed_at": plain(look.facts.get(f"{command.subject.type}.changed_at")),
        "facts": {k: plain(v) for k, v in look.facts.items() if not isinstance(v, Unread)},
    }


def run_audit(ctx: click.Context, command: Command, schema: str, form: str) -> int:
    """Look, show what is wrong, and return the exit code."""
    settings = session.settings(ctx)
    with ExitStack() as held:
        cloud = session.cloud(ctx, settings)
        cloud.connect()
        databases = open_databases(settings, command.databases, read_only=True)
        if databases is not None:
            held.callback(databases.dispose)
        progress = Progress()
        try:
            prove(cloud, databases)
            scene = Scene(cloud, databases, timedelta(0), deadline=settings["deadline"])
            found = audited(command, scene, settings["workers"], progress)
        except (CloudRefused, CloudUnknown, DatabaseUnknown) as e:
            raise ConfigError(f"the cloud cannot be read: {e}: opsfix needs an administrator of a cloud that answers") from e
        progress.end()
    for row in found.unchecked:
        session.warn(f"{row['type']} {row['id']} could not be checked: {row['reason']}")
    session.write(_shown(found, schema, form))
    return int(found.exit_code)


def _shown(found: Audited, schema: str, form: str) -> str:
    if form in ("json", "yaml"):
        return structured({"schema": schema, "findings": found.findings, "unchecked": found.unchecked}, form)
    if form != "table":
        return flat(found.findings, (*COLUMNS, "command"), form)
    rows = [row | {"reason": f"{row['reason']}: {row['command']}" if not row["refused"] else row["reason"]} for row in found.findings]
    return table(rows, COLUMNS)
