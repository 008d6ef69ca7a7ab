"""Holding and failing driver calls (see services/lab_gate.py)."""
from labctl import processes, settings


def _path(kind, name, call):
    return settings.CONTROL / kind / ('%s.%s' % (name, call))


def hold(name, call):
    _path('hold', name, call).touch()


def fail(name, call):
    _path('fail', name, call).touch()


def release(name, call=None):
    """End holds and failures, of one call or of all calls of a process."""
    for kind in ('hold', 'fail'):
        for path in (settings.CONTROL / kind).glob(
                '%s.%s' % (name, call or '*')):
            path.unlink(missing_ok=True)


def held(name, call):
    return _path('held', name, call).exists()


def any_held(name):
    return bool(list((settings.CONTROL / 'held').glob(name + '.*')))


def wait_held(name, call, seconds=30):
    """Until a call is being held."""
    processes.wait_for('%s held in %s' % (call, name),
                       lambda: held(name, call), seconds, 0.05)
