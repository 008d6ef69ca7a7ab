"""The API steps that take a compute host out of its services."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from opsfix import inverses
from opsfix.errors import CloudRefused, CloudUnknown
from opsfix.guards import Facts
from opsfix.model import Result
from opsfix.ports import Cloud
from opsfix.steps import Call, Course, Send, Step, unless_gone, watch


@dataclass(frozen=True)
class WatchHost(Step):
    """Change nothing for a period of heartbeats (seconds)."""

    seconds: float

    def calls(self, facts: Facts) -> Iterator[Call]:
        yield watch(self.seconds, self.seconds, f"nothing on {facts['compute.id']} reports")


class RetireCompute(Step):
    """Disable the nova-compute and force it down: the scheduler leaves it alone whatever comes back."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        service, host = facts["service.uuid"], facts["compute.id"]
        for name in ("disable_compute", "force_down"):
            call = inverses.call({name: {"service": service, "host": host}}, {})
            assert call is not None
            yield call


class LeaveAggregates(Step):
    """Take the host out of each aggregate while nova still knows its service."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        host = facts["compute.id"]
        for aggregate in facts["aggregates.ids"]:
            yield Call(
                f"nova: take {host} out of aggregate {aggregate}",
                _leaving(aggregate, host),
                {"join_aggregate": {"aggregate": aggregate, "host": host}},
            )


def _leaving(aggregate: int, host: str) -> Send:
    return lambda cloud, _: cloud.hosts.leave_aggregate(aggregate, host)


class DeleteDeadAllocations(Step):
    """Take everything from each consumer that is proven dead, once more asking nova right before."""

    independent = True

    def calls(self, facts: Facts) -> Iterator[Call]:
        for consumer in facts["allocations.dead_ids"]:
            yield Call(f"placement: delete the allocations of {consumer}, which nova does not have", _taking(consumer))


def _taking(consumer: str) -> Send:
    def take(cloud: Cloud) -> None:
        if cloud.server(consumer) is not None:
            raise CloudRefused(0, f"{consumer} is a server after all")
        cloud.placement.delete_allocation(consumer)

    return unless_gone(take)


class DeleteCompute(Step):
    """``DELETE /os-services/UUID``, which nova refuses while the host has servers or migrations."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        service = facts["service.uuid"]
        yield Call(
            f"nova: delete nova-compute {service} on {facts['compute.id']}",
            unless_gone(lambda cloud: cloud.hosts.delete_compute(service)),
        )


class DeleteProviders(Step):
    """Delete the host's resource providers, children first."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        for provider in facts["providers.ids"]:
            yield Call(f"placement: delete resource provider {provider}", _deleting(provider))


def _deleting(provider: str) -> Send:
    return unless_gone(lambda cloud: cloud.placement.delete_provider(provider))


class MoveRouters(Step):
    """Take each router from its dead L3 agent and give it to a live one, unless another live one has it (HA)."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        for agent, router, taker in facts["routers.moves"]:
            yield Call(f"neutron: move router {router} from L3 agent {agent} to {taker}", _moving_router(agent, router, taker))


def _moving_router(agent: str, router: str, taker: str) -> Send:
    def move(cloud: Cloud, _: Course) -> Result | None:
        network = cloud.network
        return _handed_over(
            lambda: network.remove_router(agent, router),
            lambda: _served({a for a in network.agents_of_router(router) if a != agent}, cloud),
            lambda: network.add_router(taker, router),
        )

    return move


def _handed_over(take: Callable[[], None], served: Callable[[], bool], give: Callable[[], None]) -> Result | None:
    """Take something from a dead agent and give it to a live one, unless a live one serves it; what is gone needs none."""
    gone = False
    try:
        take()
    except CloudRefused as e:
        if e.status != 404:
            raise
        gone = True
    if served():
        return None
    try:
        give()
    except CloudRefused as e:
        if gone and e.status == 404:
            return Result.SKIPPED
        if e.status != 409 or not served():  # neutron, or another run, gave it away a moment ago
            raise
    except CloudUnknown:
        if not served():  # neutron has given it away before it waits for the agent's answer
            raise
    return None


class MoveNetworks(Step):
    """Take each network from its dead DHCP agent and give it to a live one, unless another live one has it."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        for agent, network, taker in facts["networks.moves"]:
            yield Call(
                f"neutron: move network {network} from DHCP agent {agent} to {taker}", _moving_network(agent, network, taker)
            )


def _moving_network(agent: str, network_id: str, taker: str) -> Send:
    def move(cloud: Cloud, _: Course) -> Result | None:
        network = cloud.network
        return _handed_over(
            lambda: network.remove_network(agent, network_id),
            lambda: _served({a for a in network.agents_of_network(network_id) if a != agent}, cloud),
            lambda: network.add_network(taker, network_id),
        )

    return move


def _served(agents: set[str], cloud: Cloud) -> bool:
    """Whether any of the agents lives."""
    return bool(agents) and any(a.state == "up" for a in cloud.network.agents() if a.id in agents)


class DeleteAgents(Step):
    """Delete each agent, if it is still as dead as it was seen: neutron itself deletes a live one without a word."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        host = facts["agents.host"]
        for agent, binary, heartbeat in facts["agents.names"]:
            yield Call(f"neutron: delete {binary} on {host} ({agent})", _deleting_agent(host, agent, heartbeat))


def _deleting_agent(host: str, agent_id: str, heartbeat: str) -> Send:
    def delete(cloud: Cloud) -> None:
        for agent in cloud.network.agents(host=host):
            beat = agent.heartbeat.isoformat() if agent.heartbeat else ""
            if agent.id == agent_id and (agent.state == "up" or beat != heartbeat):
                raise CloudRefused(0, f"{agent.binary} on {host} reports again: it is alive")
        cloud.network.delete_agent(agent_id)

    return unless_gone(delete)


class DisableVolumeServices(Step):
    """Disable the host's services of cinder: the scheduler leaves them alone."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        for binary, host in facts["volume_services.enabled_names"]:
            yield Call(
                f"cinder: disable {binary} {host}", _disabling(binary, host),
                {"enable_volume_service": {"binary": binary, "host": host}},
            )


def _disabling(binary: str, host: str) -> Send:
    return lambda cloud, _: cloud.hosts.disable_volume_service(binary, host)
