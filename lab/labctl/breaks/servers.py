"""Servers that are not what nova calls them."""
from openstack import exceptions

from labctl import broker, cloud, control, processes, settings


def _act(scene, server, **action):
    """POST /servers/ID/action by the admin."""
    exceptions.raise_from_response(scene.admin.compute.post(
        '/servers/%s/action' % server, json=action))


def _condemn(scene, server):
    """Call it error, as a failure does that left it to itself."""
    _act(scene, server, **{'os-resetState': {'state': 'error'}})


def _stopped(scene):
    server = scene.server()
    _act(scene, server, **{'os-stop': None})
    scene.wait_server(server, lambda s: s.status == 'SHUTOFF'
                      and not s.task_state)
    return server


def _guest(scene, server):
    return settings.STATE / scene.compute_host / 'guests' / (server + '.json')


def error(scene):
    """In error, and its guest runs."""
    _condemn(scene, scene.server())


def error_off(scene):
    """In error, and its guest is off."""
    _condemn(scene, _stopped(scene))


def error_lost(scene):
    """In error, and its guest is gone; nova still calls it running."""
    server = scene.server()
    _guest(scene, server).unlink()
    _condemn(scene, server)


def error_never(scene):
    """No host could take it."""
    there = scene.as_admin_there()
    server = there.compute.create_server(
        name='%s-%s' % (scene.state, scene.tag), networks='none',
        flavor_id=scene.admin.compute.find_flavor('m1.tiny').id,
        image_id=scene.admin.image.find_image('cirros').id,
        availability_zone='nova:nowhere').id
    scene.servers.append(server)
    processes.wait_for('server in error', lambda: scene.admin.compute.
                       get_server(server).status == 'ERROR', 60, 0.2)


def error_resized(scene):
    """In error, with a resize that nobody has confirmed."""
    server = scene.server()
    flavor = scene.admin.compute.find_flavor('m1.small').id
    _act(scene, server, resize={'flavorRef': flavor})
    scene.wait_server(server, lambda s: s.status == 'VERIFY_RESIZE')
    _condemn(scene, server)


def rebooting_hung(scene):
    """A hard reboot that its host has begun and does not end."""
    server = scene.server()
    scene.hung_in(scene.compute_host, 'reboot', lambda: _act(
        scene, server, reboot={'type': 'HARD'}))


def rebooting_dead(scene):
    """Its host died in the middle of a hard reboot."""
    server = scene.server()
    scene.killed_in(scene.compute_host, 'reboot', lambda: _act(
        scene, server, reboot={'type': 'HARD'}), leave_dead=True)


def building_hung(scene):
    """Its host has begun to build it and does not end."""
    control.hold(scene.compute_host, 'spawn')
    server = scene.as_admin_there().compute.create_server(
        name='%s-%s' % (scene.state, scene.tag), networks='none',
        flavor_id=scene.admin.compute.find_flavor('m1.tiny').id,
        image_id=scene.admin.image.find_image('cirros').id,
        availability_zone='nova:' + scene.compute_host).id
    scene.servers.append(server)
    control.wait_held(scene.compute_host, 'spawn')


def resuming(scene):
    """Suspended; the request to resume it got lost with the broker."""
    server = scene.server()
    _act(scene, server, suspend=None)
    scene.wait_server(server, lambda s: s.status == 'SUSPENDED'
                      and not s.task_state)
    cloud.kill(scene.compute_host)
    _act(scene, server, resume=None)
    scene.notes['messages_lost'] = broker.purge(scene.compute_host)
    scene.revive(scene.compute_host)


def soft_deleted(scene):
    """Deleted while nova's API kept what is deleted for a day."""
    server = scene.server()
    config = settings.ETC / 'nova' / 'nova.conf'
    before = config.read_text()
    _restart_api(config, before.replace(
        '[DEFAULT]\n', '[DEFAULT]\nreclaim_instance_interval = 86400\n', 1))
    try:
        scene.admin.compute.delete_server(server)
        scene.wait_server(server, lambda s: s.status == 'SOFT_DELETED'
                          and not s.task_state)
    finally:
        _restart_api(config, before)


def _restart_api(config, text):
    cloud.kill('nova')
    config.write_text(text)
    cloud.revive('nova')


STATES = {'server-' + name.replace('_', '-'): make for name, make in (
    ('error', error), ('error_off', error_off), ('error_lost', error_lost),
    ('error_never', error_never), ('error_resized', error_resized),
    ('rebooting_hung', rebooting_hung), ('rebooting_dead', rebooting_dead),
    ('building_hung', building_hung), ('resuming', resuming),
    ('soft_deleted', soft_deleted))}
