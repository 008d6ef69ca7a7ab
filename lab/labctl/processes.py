"""Starting, finding and ending the lab's processes.

Each process is a session leader; run/NAME.json holds its pid and start time
(clock ticks since boot, field 22 of /proc/PID/stat).  Both have to match
before a signal is sent, so a recycled pid is never touched.
"""
import json
import os
import signal
import subprocess
import time

from labctl import settings


class LabError(Exception):
    """Something the user has to be told; the message is complete."""


class TimeUp(LabError):
    """What was waited for did not come."""


def wait_for(what, condition, seconds, interval=0.1):
    """Poll condition until it is true and return its value, or raise."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeUp('%s: not within %d s' % (what, seconds))
        time.sleep(interval)


def _stat(pid):
    """Fields of /proc/PID/stat after the command name, or None."""
    try:
        with open('/proc/%d/stat' % pid) as f:
            return f.read().rpartition(')')[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _start_time(pid):
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] not in 'ZX' else None


def _record(name):
    return settings.RUN / (name + '.json')


def names():
    """Names of all processes ever started and not yet stopped."""
    return sorted(f.stem for f in settings.RUN.glob('*.json'))


def pid_of(name):
    """Pid of a living process of the lab, or None."""
    try:
        known = json.loads(_record(name).read_text())
    except FileNotFoundError:
        return None
    alive = _start_time(known['pid']) == known['start_time']
    return known['pid'] if alive else None


def start(name, command, env=None):
    """Start a command as a session of its own; output goes to its .out log."""
    if pid_of(name):
        raise LabError('%s is already running' % name)
    with open(settings.LOG / (name + '.out'), 'ab') as out:
        child = subprocess.Popen(
            [str(c) for c in command], stdin=subprocess.DEVNULL, stdout=out,
            stderr=out, env=env or settings.environment(),
            start_new_session=True, cwd=settings.STATE)
    _record(name).write_text(json.dumps(
        {'pid': child.pid, 'start_time': _start_time(child.pid)}))


def kill(name, sig=signal.SIGKILL, seconds=15):
    """Signal the process group and wait for the leader's end."""
    pid = pid_of(name)
    if not pid:
        return False
    os.killpg(pid, sig)
    wait_for('end of ' + name, lambda: not _reaped_alive(pid, name), seconds,
             0.02)
    return True


def _reaped_alive(pid, name):
    """Still alive?  Reaps the process if it is our own child."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
    return pid_of(name)


def stop_all(order):
    """SIGTERM, then SIGKILL after 10 s, in the order given; forget them."""
    stopped = 0
    for group in order:
        pids = {n: pid_of(n) for n in group if pid_of(n)}
        for pid in pids.values():
            os.killpg(pid, signal.SIGTERM)
        try:
            wait_for('end', lambda: not any(
                _reaped_alive(p, n) for n, p in pids.items()), 10)
        except TimeUp:
            for name in pids:
                kill(name)
        stopped += len(pids)
        for name in group:
            _record(name).unlink(missing_ok=True)
    return stopped


def memory_mb(name):
    """Proportional set size of the process's session, MiB."""
    leader = pid_of(name)
    if not leader:
        return 0
    total = 0
    for entry in os.listdir('/proc'):
        if not entry.isdigit():
            continue
        fields = _stat(int(entry))
        if not fields or int(fields[3]) != leader:
            continue
        try:
            with open('/proc/%s/smaps_rollup' % entry) as f:
                total += sum(int(line.split()[1]) for line in f
                             if line.startswith('Pss:'))
        except (OSError, ProcessLookupError):
            pass
    return total // 1024


def log_tail(name, lines=25):
    """The end of a process's output and log, for error messages."""
    parts = []
    for path in (settings.LOG / (name + '.out'), settings.LOG / (name + '.log')):
        if path.exists() and path.stat().st_size:
            text = path.read_text(errors='replace').splitlines()[-lines:]
            parts.append('--- %s\n%s' % (path, '\n'.join(text)))
    return '\n'.join(parts)
