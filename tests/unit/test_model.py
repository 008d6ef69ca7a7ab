"""Outcomes, exit codes and the report's JSON."""

import itertools
import json
from collections.abc import Iterable

import pytest

from opsfix import errors
from opsfix.errors import PRECEDENCE, ExitCode
from opsfix.model import EXIT_OF_OUTCOME, Item, Mode, Outcome, Report, Result, StepReport


def report(*outcomes: Outcome, raised: Iterable[ExitCode] = ()) -> Report:
    """A report of items that ended so."""
    items = tuple(Item("volume", str(n), "", "", None, o, None, "why") for n, o in enumerate(outcomes))
    return Report("run", "volume unstick", Mode.APPLY, "start", "end", items, tuple(raised))


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.REPAIRED, 0), (Outcome.HEALTHY, 0), (Outcome.NEEDS_COMMIT, 3), (Outcome.FAILED, 4),
        (Outcome.REFUSED, 5), (Outcome.UNKNOWN, 6),
    ],
)
def test_each_outcome_has_its_exit_code(outcome: Outcome, code: int) -> None:
    assert report(outcome).exit_code == code


def test_every_outcome_has_one() -> None:
    assert set(EXIT_OF_OUTCOME) == set(Outcome)


def test_nothing_found_is_no_error() -> None:
    assert report().exit_code == 0


ORDER = (130, 1, 7, 8, 6, 4, 5, 3, 0)


def test_the_precedence_is_the_documented_one() -> None:
    assert tuple(map(int, PRECEDENCE)) == ORDER


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(PRECEDENCE, 2)))
def test_of_several_exit_codes_the_first_of_the_precedence_wins(first: ExitCode, second: ExitCode) -> None:
    assert report(raised=[second, first]).exit_code is first


@pytest.mark.parametrize("outcomes", list(itertools.permutations(Outcome, 3)))
def test_of_several_outcomes_the_first_of_the_precedence_wins(outcomes: tuple[Outcome, ...]) -> None:
    expected = min((EXIT_OF_OUTCOME[o] for o in outcomes), key=PRECEDENCE.index)
    assert report(*outcomes).exit_code is expected


def test_an_interrupt_outdoes_everything() -> None:
    assert report(*Outcome, raised=[ExitCode.INTERRUPTED]).exit_code == 130


def test_the_summary_names_every_outcome() -> None:
    assert report(Outcome.REPAIRED, Outcome.REPAIRED, Outcome.REFUSED).summary == {
        "repaired": 2, "needs_commit": 0, "refused": 1, "failed": 0, "unknown": 0, "healthy": 0,
    }


def test_the_report_is_json_of_the_documented_shape() -> None:
    steps = (StepReport("api", "cinder: reset", Result.DONE), StepReport("sql", "sql/x.sql", Result.DRY_RUN, rows=1))
    item = Item("volume", "id", "näme", "project", "volume-abandoned", Outcome.REPAIRED, "api", "why", {"a": 1}, steps)
    seen = json.loads(json.dumps(Report("r", "volume unstick", Mode.DRY_RUN, "s", "f", (item,)).as_dict()))
    assert list(seen) == [
        "schema", "run", "command", "mode", "started", "finished", "exit_code", "summary", "items",
    ]
    assert (seen["schema"], seen["mode"], seen["exit_code"]) == ("opsfix.report/1", "dry-run", 0)
    assert list(seen["items"][0]) == [
        "type", "id", "name", "project_id", "finding", "outcome", "by", "reason", "facts", "steps",
    ]
    api, sql = seen["items"][0]["steps"]
    assert {"kind", "what", "result", "detail", "rows"} <= set(api) & set(sql)
    assert (api["rows"], sql["rows"], sql["result"]) == (None, 1, "dry-run")


def test_every_error_has_an_exit_code_of_the_table() -> None:
    kinds = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.OpsfixError)]
    assert {e.__name__: int(e.exit_code) for e in kinds} == {
        "OpsfixError": 1, "UsageError": 2, "ConfigError": 7, "GuardError": 5, "LockedError": 8, "TargetNotFound": 4,
        "JournalError": 4, "BackupError": 4,
    }


def test_a_refusal_carries_its_status() -> None:
    assert str(errors.CloudRefused(409, "in use")) == "HTTP 409: in use"
    assert str(errors.CloudRefused(0, "no")) == "no"
