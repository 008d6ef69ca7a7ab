"""nova's own fake driver with guests that outlive nova-compute.

A guest is a file $LAB_DIR/state/HOST/guests/UUID.json with its power state
and its disks, so a killed nova-compute leaves its guests running, as a
hypervisor does, and finds them when it is started again.
"""
import io
import json
import os
import pathlib
import uuid

from nova.image import glance
from nova.virt import fake

import lab_gate

GUESTS = pathlib.Path(os.environ['LAB_DIR'], 'state',
                      os.environ.get('LAB_PROCESS', 'none'), 'guests')


def node_uuid(name):
    """The same node id at every start."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name + '.lab'))


class Guest:
    """One guest; reads and writes go to its file."""

    def __init__(self, guest_id):
        self.uuid = guest_id
        self._path = GUESTS / (guest_id + '.json')

    def read(self):
        return json.loads(self._path.read_text())

    def write(self, **changes):
        data = self.read() if self._path.exists() else {'disks': {}}
        data.update(changes)
        temporary = self._path.with_suffix('.new')
        temporary.write_text(json.dumps(data))
        temporary.rename(self._path)

    def exists(self):
        return self._path.exists()

    def forget(self):
        self._path.unlink(missing_ok=True)

    @property
    def name(self):
        return self.read()['name']

    @property
    def state(self):
        return self.read()['state']

    @state.setter
    def state(self, value):
        self.write(state=value)


class Guests:
    """The mapping of uuid to guest that the fake driver works on."""

    def keys(self):
        return [p.stem for p in GUESTS.glob('*.json')]

    def __iter__(self):
        return iter(self.keys())

    def __contains__(self, guest_id):
        return Guest(guest_id).exists()

    def __getitem__(self, guest_id):
        if guest_id not in self:
            raise KeyError(guest_id)
        return Guest(guest_id)

    def __setitem__(self, guest_id, fresh):
        Guest(guest_id).write(name=fresh.name, state=fresh.state)

    def __delitem__(self, guest_id):
        Guest(guest_id).forget()


@lab_gate.gated('spawn', 'destroy', 'reboot', 'attach_volume',
                'detach_volume', 'power_on', 'power_off', 'snapshot',
                'live_migration', 'migrate_disk_and_power_off',
                'attach_interface', 'detach_interface')
class LabDriver(fake.FakeDriver):
    """A host of 64 CPUs, 256 GiB and 4 TB."""
    vcpus, memory_mb, local_gb = 64, 262144, 4000

    def __init__(self, virtapi, read_only=False):
        super().__init__(virtapi, read_only)
        GUESTS.mkdir(parents=True, exist_ok=True)
        self.instances = Guests()

    def get_nodenames_by_uuid(self, refresh=False):
        return {node_uuid(n): n for n in self.get_available_nodes()}

    def get_available_resource(self, nodename):
        resources = super().get_available_resource(nodename)
        if resources:
            resources['uuid'] = node_uuid(nodename)
        return resources

    def get_host_uptime(self):
        return ' 00:00:00 up 1 day,  0:00,  1 user,  load average: 0, 0, 0'

    def spawn(self, context, instance, *args, **kwargs):
        super().spawn(context, instance, *args, **kwargs)
        info = kwargs.get('block_device_info') or {}
        for bdm in info.get('block_device_mapping') or []:
            self._add_disk(instance, bdm['connection_info'],
                           bdm['mount_device'])

    def _add_disk(self, instance, connection_info, mountpoint):
        guest = Guest(instance.uuid)
        if guest.exists():
            disks = guest.read()['disks']
            disks[mountpoint] = (connection_info or {}).get('serial')
            guest.write(disks=disks)

    def attach_volume(self, context, connection_info, instance, mountpoint,
                      *args, **kwargs):
        self._add_disk(instance, connection_info, mountpoint)

    def detach_volume(self, context, connection_info, instance, mountpoint,
                      *args, **kwargs):
        guest = Guest(instance.uuid)
        if guest.exists():
            disks = guest.read()['disks']
            disks.pop(mountpoint, None)
            guest.write(disks=disks)

    def detach_interface(self, context, instance, vif):
        self._interfaces.setdefault(vif['id'], vif)     # known before a restart
        super().detach_interface(context, instance, vif)

    def snapshot(self, context, instance, image_id, update_task_state):
        super().snapshot(context, instance, image_id, update_task_state)
        # the fake driver leaves the image queued for ever: upload a little
        glance.API().update(
            context, image_id,
            {'disk_format': 'raw', 'container_format': 'bare'},
            data=io.BytesIO(b'\0' * 65536))
