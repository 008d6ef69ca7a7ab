"""Volumes another operation has its hands on."""
from openstack import exceptions

from labctl import api, processes


def _by_reset(status):
    def make(scene):
        scene.reset(scene.volume(), status=status)
    make.__doc__ = '%s, by os-reset_status.' % status
    return make


def migrating(scene):
    scene.reset(scene.volume(), migration_status='migrating')


def awaiting_transfer(scene):
    volume = scene.volume()
    storage = scene.as_user().block_storage
    storage.create_transfer(volume_id=volume, name='übergabe-' + scene.tag)
    scene.wait_volume(volume, 'awaiting-transfer')


def _make_group(scene):
    """A generic group for the scene's volume type; returns its id."""
    storage = scene.as_admin_there().block_storage
    kind = storage.create_group_type(name='gruppe-' + scene.tag).id
    volume_type = storage.find_type(scene.storage_host).id
    answer = storage.post('/groups', microversion=api.VOLUME, json={'group': {
        'name': 'gruppe-' + scene.tag, 'group_type': kind,
        'volume_types': [volume_type]}})
    exceptions.raise_from_response(answer)
    return answer.json()['group']['id']


def group(scene):
    """A volume of a group, left detaching by a killed nova-compute."""
    group_id = _make_group(scene)
    scene.groups.append(group_id)
    storage = scene.as_admin_there().block_storage
    processes.wait_for('group', lambda: storage.get(
        '/groups/' + group_id, microversion=api.VOLUME).json()['group'][
            'status'] == 'available', 30)
    server = scene.server()
    answer = storage.post('/volumes', microversion=api.VOLUME, json={'volume': {
        'name': 'gruppe-%s' % scene.tag, 'size': 1, 'group_id': group_id,
        'volume_type': scene.storage_host}})
    exceptions.raise_from_response(answer)
    volume = answer.json()['volume']['id']
    scene.volumes.append(volume)
    scene.wait_volume(volume, 'available')
    scene.attach(server, volume)
    scene.killed_in(scene.compute_host, 'detach_volume',
                    lambda: scene.detach(server, volume))


STATES = {name: _by_reset(name) for name in (
    'maintenance', 'backing-up', 'retyping', 'extending', 'managing',
    'restoring-backup')}
STATES.update({'migrating': migrating, 'awaiting-transfer': awaiting_transfer,
               'group': group})
