"""Broken states, made by real calls and real deaths."""
from labctl import processes
from labctl.breaks import attachments, backends, hosts, images, mappings, mismatches, operations, quotas, servers
from labctl.breaks.scene import Scene

STATES = {}
for _module in (attachments, backends, hosts, images, mappings, mismatches, operations, quotas, servers):
    STATES.update(_module.STATES)


def make(state, host=None):
    """Make one broken state; returns what it consists of."""
    if state not in STATES:
        raise processes.LabError('no such state: %s\nthere are: %s' % (
            state, ' '.join(sorted(STATES))))
    scene = Scene(state, host)
    STATES[state](scene)
    return scene.report()
