"""Volumes that nova maps, and whose attachments cinder does not have."""
import uuid

from openstack import exceptions

from labctl import api, database, processes
from labctl.breaks.scene import FOREVER


def _attached(scene, server, name, kind=None):
    volume = scene.volume(name, kind)
    scene.attach(server, volume)
    return volume


def _forget(scene, volume):
    """The careless reset: cinder drops its attachments."""
    scene.reset(volume, status='available', attach_status='detached')


def _unheld(scene, server):
    """in-use again without an attachment: nova can no longer detach it."""
    volume = _attached(scene, server, 'unheld')
    _forget(scene, volume)
    scene.reset(volume, status='detaching')
    scene.act(volume, 'os-roll_detaching', {})
    scene.wait_volume(volume, 'in-use')
    return volume


def _gone(scene, server):
    """Deleted after the careless reset; nova's mapping stays."""
    volume = _attached(scene, server, 'gone')
    _forget(scene, volume)
    scene.admin.block_storage.delete_volume(volume)
    processes.wait_for(
        'end of volume ' + volume, lambda: not any(
            v.id == volume for v in scene.admin.block_storage.volumes(
                details=False, all_projects=True)), FOREVER, 0.2)
    scene.volumes.remove(volume)
    return volume


def _misdirected(scene, server):
    """A new attachment, connected, made past nova."""
    volume = _attached(scene, server, 'misdirected')
    _forget(scene, volume)
    attachment = scene.attachment(volume, server)
    answer = scene.admin.block_storage.put(
        '/attachments/%s' % attachment, microversion=api.VOLUME,
        json={'attachment': {'connector': {
            'host': scene.compute_host, 'initiator': 'iqn.2026-01.lab:x',
            'ip': '127.0.0.1', 'platform': 'x86_64', 'os_type': 'linux',
            'multipath': False}}})
    exceptions.raise_from_response(answer)
    scene.complete_attachment(attachment)
    scene.wait_volume(volume, 'in-use')
    return volume


def _twice(scene, server):
    """A second row of the mapping, as a race of two attaches leaves it."""
    volume = _attached(scene, server, 'twice')
    connection = database.connect('nova_cell1', autocommit=True)
    with connection, connection.cursor() as cursor:
        cursor.execute('SHOW COLUMNS FROM block_device_mapping')
        names = ['`%s`' % row[0] for row in cursor.fetchall()
                 if row[0] not in ('id', 'uuid', 'attachment_id')]
        columns = ', '.join(names)
        cursor.execute(
            'INSERT INTO block_device_mapping (%s, uuid, attachment_id) '
            'SELECT %s, %%s, %%s FROM block_device_mapping '
            'WHERE volume_id = %%s AND deleted = 0' % (columns, columns),
            (str(uuid.uuid4()), str(uuid.uuid4()), volume))
    return volume


def _elsewhere(scene, server):
    """After the careless reset another server gets the same volume (nova
    would refuse one that is not multiattach)."""
    volume = _attached(scene, server, 'elsewhere', 'multiattach')
    _forget(scene, volume)
    scene.attach(scene.server('zweiter'), volume)
    return volume


def _boot_disk(scene):
    root = scene.volume(
        'boot', image_id=scene.admin.image.find_image('cirros').id)
    scene.server('bootet', boot_volume=root)
    scene.wait_volume(root, 'in-use')
    _forget(scene, root)
    return root


def mappings_apart(scene):
    """One of each disagreement: five of one server, which also has a healthy
    volume, and the boot disk of another."""
    server = scene.server()
    cases = {'healthy': _attached(scene, server, 'heil')}
    for name, make in (
            ('unheld', _unheld), ('gone', _gone), ('twice', _twice),
            ('misdirected', _misdirected), ('elsewhere', _elsewhere)):
        cases[name] = make(scene, server)
    cases['boot'] = _boot_disk(scene)
    scene.notes['cases'] = cases


STATES = {'mappings-apart': mappings_apart}
