"""Guards that repairs of ports share."""

from __future__ import annotations

from opsfix.guards import is_

STILL = is_("port.still", True, "it changed while it was looked at twice, so somebody is at work on it: look again in a while")
