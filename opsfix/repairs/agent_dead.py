"""An agent or service that is dead for good: watched once more, what it serves moved, then removed by its owner."""

from __future__ import annotations

from opsfix.agent_steps import DeleteService, RemoveVolumeService, WatchAgent
from opsfix.compute_steps import DeleteAgents, DisableVolumeServices, MoveNetworks, MoveRouters
from opsfix.guards import Guard, enforced, is_, is_not
from opsfix.repair import Fallback, Repair
from opsfix.repairs.compute_common import SERVED
from opsfix.steps import Step

DOWN = is_(
    "agent.state", "down",
    "{agent_binary} on {agent_host} is {agent_state}: stop it first, and wait until it is called down; what lives is never"
    " removed, whatever it was told to do",
)
STILL = is_(
    "agent.stirs", False, "{agent_binary} on {agent_host} reported while it was watched: it is alive, so stop it first",
)
DATED = is_(
    "agent.dated", True,
    "nothing tells when {agent_binary} on {agent_host} last lived: make sure that it is off, and repeat with"
    " --fenced {agent_host}",
)
NO_VOLUME = is_(
    "volumes.count", 0,
    "{volumes_count} volumes belong to {agent_host}: run that backend elsewhere, then 'cinder-manage volume update_host"
    " --currenthost {agent_host}#POOL --newhost HOST@BACKEND#POOL' and 'cinder-manage volume update_service'; or, while it"
    " still runs, 'openstack volume migrate' each; or 'cinder failover-host {agent_host}' where it is replicated",
)
MANAGED = is_("agent.managed", True, "there is no cinder-manage on this host that uses the database of opsfix")

#: In the order in which an operator wants to hear of them.
DEAD_FOR_GOOD = (DOWN, STILL, DATED, SERVED, NO_VOLUME)
GONE = is_("agent.state", "gone")


def _stage(means: str, when: tuple[Guard, ...], steps: tuple[Step, ...], fixed: Guard, refused: str | None = None) -> Repair:
    return Repair("agent-dead", means, when, DEAD_FOR_GOOD, steps, fixed_when=(fixed,), refused=refused)


def _of(service: str) -> tuple[Guard, ...]:
    return is_("agent.left", True), is_("agent.service", service)


REPAIRS = (
    _stage(
        "it has not reported for long, which one more period has to confirm",
        (is_("agent.left", True), is_("agent.watched", False)),
        (WatchAgent(),),
        is_("agent.watched", True),
        STILL.advice,
    ),
    _stage("nova still has a service that is dead", _of("nova"), (DeleteService(),), GONE),
    _stage(
        "neutron still has an agent that is dead, and may count on it",
        _of("neutron"),
        (MoveRouters(), MoveNetworks(), DeleteAgents()),
        GONE,
    ),
    _stage(
        "cinder still offers work to a service that is dead",
        (*_of("cinder"), is_("agent.enabled", True)),
        (DisableVolumeServices(),),
        is_("agent.enabled", False),
    ),
    Repair(
        symptom="agent-dead",
        means="cinder still has a service that is dead, and no call of its API removes it",
        when=_of("cinder"),
        only_if=DEAD_FOR_GOOD,
        api=(RemoveVolumeService(),),
        api_if=(MANAGED,),
        fixed_when=(GONE,),
        fallback=Fallback(
            "compute_volume_service_left.cinder",
            (is_not("volume_service.id", None, in_sql=True), enforced(NO_VOLUME)),
            one_of_many=True,
        ),
    ),
)
