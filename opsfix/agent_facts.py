"""States what dead agents of neutron serve, and which live ones can take it over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opsfix.consumers import some
from opsfix.resources import Agent

#: L3 agents in these modes serve what runs on their own host: their routers cannot be moved.
LOCAL = ("dvr", "dvr_no_external")
#: Agent id -> ids of the routers, or networks, that it serves.
Served = Mapping[str, tuple[str, ...]]
#: (dead agent, what it serves, agent that is to take over); '' where none can.
Move = tuple[str, str, str]


def agent_facts(host: str, agents: Sequence[Agent], others: Iterable[Agent], routers: Served, networks: Served) -> dict[str, Any]:
    """The facts ``agents``, ``routers`` and ``networks`` of dead agents of one host; ``others`` may take over."""
    takers = tuple(others)
    moving = {
        "router": _moves(agents, takers, "L3 agent", routers), "network": _moves(agents, takers, "DHCP agent", networks),
    }
    homeless = [f"{kind} {thing}" for kind, moves in moving.items() for _, thing, taker in moves if not taker]
    return {
        "agents.ids": tuple(a.id for a in agents),
        "agents.names": tuple((a.id, a.binary, a.heartbeat.isoformat() if a.heartbeat else "") for a in agents),
        "agents.host": host,
        "routers.moves": tuple(m for m in moving["router"] if m[2]),
        "networks.moves": tuple(m for m in moving["network"] if m[2]),
        "agents.homeless": len(homeless),
        "agents.homeless_names": some(homeless),
    }


def _moves(agents: Sequence[Agent], others: Sequence[Agent], kind: str, served: Served) -> list[Move]:
    """Who takes what over, the work spread evenly."""
    able = sorted((a for a in others if _able(a, kind)), key=lambda a: a.id)
    load = Counter({a.id: 0 for a in able})
    moves = []
    for agent in (a for a in agents if a.mode not in LOCAL):
        for thing in served.get(agent.id, ()):
            taker = min(able, key=lambda a: load[a.id], default=None)
            if taker:
                load[taker.id] += 1
            moves.append((agent.id, thing, taker.id if taker else ""))
    return moves


def _able(agent: Agent, kind: str) -> bool:
    return agent.type == kind and agent.state == "up" and agent.enabled and agent.mode not in LOCAL
