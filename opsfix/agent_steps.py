"""The API steps that remove dead agents and services, one each."""

from __future__ import annotations

from collections.abc import Iterator

from opsfix.agent_rows import read_rows
from opsfix.errors import CloudRefused
from opsfix.guards import Facts
from opsfix.ports import Cloud
from opsfix.steps import Call, Course, Step, unless_gone, watch


class WatchAgent(Step):
    """Change nothing until a period of heartbeats is over since the run began."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        what = f"{facts['agent.binary']} on {facts['agent.host']} does not report"
        yield watch(facts["agent.waits"], facts["agent.period"], what)


class DeleteService(Step):
    """``DELETE /os-services/UUID`` of one that is no nova-compute: nova asks not whether it lives."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        service = facts["agent.id"]

        def delete(cloud: Cloud) -> None:
            as_dead(cloud, facts)
            cloud.hosts.delete_compute(service)

        yield Call(f"nova: delete {facts['agent.binary']} {service} on {facts['agent.host']}", unless_gone(delete))


class RemoveVolumeService(Step):
    """``cinder-manage service remove``, which asks for no leave: neither of what lives nor of volumes."""

    def calls(self, facts: Facts) -> Iterator[Call]:
        binary, host = facts["agent.binary"], facts["agent.host"]

        def remove(cloud: Cloud, _: Course) -> None:
            as_dead(cloud, facts)
            if cloud.hosts.volumes(host):
                raise CloudRefused(0, f"{host} owns a volume after all")
            cloud.manage.remove_volume_service(binary, host)

        for _ in facts["agent.heartbeat"]:  # it takes one row, and a service may have two
            yield Call(f"cinder-manage service remove {binary} {host}", remove)


def as_dead(cloud: Cloud, facts: Facts) -> None:
    """Refuse when it has reported since it was judged: what follows asks no service for leave."""
    rows = [r for r in read_rows(cloud, facts["agent.service"]) if r.id == facts["agent.id"]]
    if not {(r.state, r.heartbeat) for r in rows} <= set(facts["agent.heartbeat"]):
        raise CloudRefused(0, f"{facts['agent.binary']} on {facts['agent.host']} reports again: it is alive")
