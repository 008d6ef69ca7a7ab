"""Day-2 repairs for OpenStack: the service's own API first, guarded SQL only where that cannot do it."""

__version__ = "0.1.0"
