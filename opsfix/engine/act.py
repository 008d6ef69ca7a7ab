"""Executes a repair's API steps, each recorded before it is sent."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from opsfix.errors import CloudRefused, CloudUnknown
from opsfix.model import Result, StepReport
from opsfix.ports import Cloud, Recorder
from opsfix.repair import Repair
from opsfix.steps import Call, Course, Step


def show(repair: Repair, facts: Mapping[str, Any]) -> list[StepReport]:
    """The steps that would be sent."""
    return [
        StepReport("api", call.what, Result.DRY_RUN) for step in repair.api for call in step.calls(facts)
    ]


def act(
    repair: Repair, facts: Mapping[str, Any], cloud: Cloud, course: Course, record: Recorder
) -> tuple[list[StepReport], Result]:
    """Send the steps in order, up to the first that is not done; what was made for a refused one is taken back.

    Returns the steps' reports and how it ended: done, refused (a definite no), or unknown.
    """
    reports: list[StepReport] = []
    taken = []
    ended = Result.DONE
    for step in repair.api:
        taken.append(step)
        ended = _take(step, facts, cloud, course, record, reports)
        if ended is not Result.DONE:
            break
    if ended is Result.REFUSED:
        for call in itertools.chain.from_iterable(step.back(facts, course) for step in reversed(taken)):
            send(call, cloud, course, record, reports)
    return reports, ended


def _take(
    step: Step, facts: Mapping[str, Any], cloud: Cloud, course: Course, record: Recorder, reports: list[StepReport]
) -> Result:
    """Send a step's calls, up to the first that is not done; all of them, where they do not need each other."""
    results = []
    for call in step.calls(facts):
        results.append(send(call, cloud, course, record, reports))
        if results[-1] in (Result.REFUSED, Result.UNKNOWN) and not step.independent:
            break
    return next((r for r in (Result.UNKNOWN, Result.REFUSED) if r in results), Result.DONE)


def send(call: Call, cloud: Cloud, course: Course, record: Recorder, reports: list[StepReport]) -> Result:
    """Send one call, recorded before and after; a refusal and a time-out are results, told in ``reports``."""
    record("api-before", what=call.what, inverse=call.inverse)
    course.sent, course.said = True, ""
    try:
        result = call.send(cloud, course) or Result.DONE
        detail = course.said
    except CloudRefused as e:
        result, detail = Result.REFUSED, str(e)
    except CloudUnknown as e:
        result, detail = Result.UNKNOWN, str(e)
    record("api-after", what=call.what, result=str(result), detail=detail, made=dict(course.made))
    reports.append(StepReport("api", call.what, result, detail))
    return result
