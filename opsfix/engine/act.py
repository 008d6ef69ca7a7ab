"""Executes a repair's API steps, each recorded before it is sent."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from opsfix.errors import CloudRefused, CloudUnknown
from opsfix.model import Result, StepReport
from opsfix.ports import Cloud, Recorder
from opsfix.repair import Repair
from opsfix.steps import Call, Course


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
    ended = Result.DONE
    taken = []
    for step in repair.api:
        for call in step.calls(facts):
            ended = _send(call, cloud, course, record, reports)
            if ended is not Result.DONE:
                break
        taken.append(step)
        if ended is not Result.DONE:
            break
    if ended is Result.REFUSED:
        for call in itertools.chain.from_iterable(step.back(facts) for step in reversed(taken)):
            _send(call, cloud, course, record, reports)
    return reports, ended


def _send(call: Call, cloud: Cloud, course: Course, record: Recorder, reports: list[StepReport]) -> Result:
    record("api-before", what=call.what, inverse=call.inverse)
    try:
        call.send(cloud, course)
        result, detail = Result.DONE, ""
    except CloudRefused as e:
        result, detail = Result.REFUSED, str(e)
    except CloudUnknown as e:
        result, detail = Result.UNKNOWN, str(e)
    record("api-after", what=call.what, result=str(result), detail=detail, made=dict(course.made))
    reports.append(StepReport("api", call.what, result, detail))
    return result
