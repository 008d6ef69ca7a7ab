"""Making every state, comparing it with what it should be, going back."""
import time

from labctl import breaks, processes, reset
from labctl.breaks import expected


def _one(state):
    """Make and undo one state; True if it was as expected."""
    begun = time.monotonic()
    try:
        outcome = expected.seen(breaks.make(state))
    except processes.LabError as e:
        outcome = str(e)
    made = time.monotonic()
    reset.reset(quiet=True)
    good = outcome == expected.EXPECTED[state]
    print('%-4s %-26s made %5.1f s, reset %5.1f s%s' % (
        'ok' if good else 'FAIL', state, made - begun, time.monotonic() - made,
        '' if good else ': %s, expected %s' % (
            outcome, expected.EXPECTED[state])), flush=True)
    return good


def check(states):
    """Check these states, or all; returns how many were not as expected."""
    return sum(not _one(s) for s in states or sorted(breaks.STATES))
