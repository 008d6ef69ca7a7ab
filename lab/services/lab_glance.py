"""glance's file store, behind the lab's gate.

`add` is held after the first chunk of the data has been written, so that a
death leaves what deaths leave: the beginning of a file. The staging area is a
file store, too.
"""
from glance_store._drivers import filesystem

import lab_gate


def _gated_chunks(chunkreadable):
    def through(data, size):
        first = True
        for chunk in chunkreadable(data, size):
            yield chunk
            if first:
                lab_gate.enter('add')
            first = False
    return through


class _Utils:
    """The store's helpers, one of them gated."""

    def __init__(self, utils):
        self._utils = utils
        self.chunkreadable = _gated_chunks(utils.chunkreadable)

    def __getattr__(self, name):
        return getattr(self._utils, name)


def gate():
    """Before glance loads its stores."""
    filesystem.utils = _Utils(filesystem.utils)
    lab_gate.gated('delete')(filesystem.Store)
