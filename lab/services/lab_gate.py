"""Where the fake drivers ask whether a call may go through.

Control files under $LAB_DIR/control, written by `lab/hold` and `lab/fail`:
    hold/NAME.CALL   the call blocks as long as the file is there
    fail/NAME.CALL   the call raises
    held/NAME.CALL   made here while a call is being blocked
"""
import functools
import os
import pathlib
import time

NAME = os.environ.get('LAB_PROCESS', '')
CONTROL = pathlib.Path(os.environ['LAB_DIR']) / 'control'


class LabFailure(Exception):
    """Raised in place of a driver call that was told to fail."""


def failing(call):
    """Was this call of this process told to fail?"""
    return (CONTROL / 'fail' / ('%s.%s' % (NAME, call))).exists()


def enter(call):
    """Block, raise or return, as the control files say for this process."""
    key = '%s.%s' % (NAME, call)
    if (CONTROL / 'hold' / key).exists():
        marker = CONTROL / 'held' / key
        marker.touch()
        while (CONTROL / 'hold' / key).exists():
            time.sleep(0.05)
        marker.unlink(missing_ok=True)
    if failing(call):
        raise LabFailure('%s of %s was told to fail' % (call, NAME))


def gated(*calls):
    """Class decorator: the named methods pass the gate first."""
    def wrap(cls):
        for call in calls:
            setattr(cls, call, _gated(call, getattr(cls, call)))
        return cls
    return wrap


def _gated(call, method):
    @functools.wraps(method)
    def through(self, *args, **kwargs):
        enter(call)
        return method(self, *args, **kwargs)
    return through
