"""Attaching and detaching that stopped in the middle."""
from labctl import cloud, settings


def attaching(scene, leave_dead=False):
    """nova-compute killed between cinder's and the guest's attach."""
    server, volume = scene.server(), scene.volume()
    scene.killed_in(scene.compute_host, 'attach_volume',
                    lambda: scene.attach(server, volume, ready=False),
                    leave_dead)


def attaching_dead(scene):
    attaching(scene, leave_dead=True)


def attaching_nobody(scene):
    """os-reserve, the first call of an attach, and nothing after it."""
    scene.act(scene.volume(), 'os-reserve', {})


def detaching(scene, leave_dead=False):
    """nova-compute killed while it takes the disk from the guest; the
    request was acknowledged before, so no restart takes it up again."""
    server, volume = scene.attached_pair()
    scene.killed_in(scene.compute_host, 'detach_volume',
                    lambda: scene.detach(server, volume), leave_dead)


def detaching_dead(scene):
    detaching(scene, leave_dead=True)


def detaching_hung(scene):
    server, volume = scene.attached_pair()
    scene.hung_in(scene.compute_host, 'detach_volume',
                  lambda: scene.detach(server, volume))


def detaching_nobody(scene):
    scene.reset(scene.volume(), status='detaching')


def boot_detaching(scene):
    """os-begin_detaching, as nova calls it, for a root disk."""
    root = scene.volume(image_id=scene.admin.image.find_image('cirros').id)
    scene.server(boot_volume=root)
    scene.wait_volume(root, 'in-use')
    scene.act(root, 'os-begin_detaching', {})


def reserved(scene):
    """An attachment nova never learned of."""
    scene.attachment(scene.volume(), scene.server())


def reserved_nobody(scene):
    scene.reset(scene.volume(), status='reserved')


def _server_gone(scene):
    """Delete a server of a dead host while cinder's API is dead: nova
    deletes it locally and ignores that the attachment stays."""
    server, _ = scene.attached_pair()
    cloud.kill(scene.compute_host, until_down=True)
    scene.die('cinder')
    scene.admin.compute.delete_server(server)
    scene.wait_server_gone(server)
    scene.revive('cinder')


def server_gone(scene):
    """The host comes back without its guests, as after a loss of power.
    (With the guest still running, the starting nova-compute would reap it
    and delete the attachment itself.)"""
    _server_gone(scene)
    scene.lose_guests(scene.compute_host)
    scene.revive(scene.compute_host)


def server_gone_dead(scene):
    _server_gone(scene)


def server_gone_backend_dead(scene):
    server_gone(scene)
    cloud.kill(scene.storage_host, until_down=True)


def multiattach_gone(scene):
    """Two servers share a volume; one of them is deleted as above."""
    first = scene.server('wird-gelöscht')
    volume = scene.volume(kind='multiattach')
    scene.attach(first, volume)
    doomed = scene.compute_host
    scene.compute_host = next(h for h in settings.COMPUTES if h != doomed)
    second = scene.server('bleibt')
    scene.attach(second, volume)
    scene.compute_host = doomed
    cloud.kill(doomed, until_down=True)
    scene.die('cinder')
    scene.admin.compute.delete_server(first)
    scene.wait_server_gone(first)
    scene.revive('cinder')
    scene.lose_guests(doomed)
    scene.revive(doomed)


def two_attachments(scene):
    """A second live attachment of the same server, as a failed live
    migration leaves; only the first one is nova's."""
    server, volume = scene.attached_pair()
    scene.complete_attachment(scene.attachment(volume, server))


STATES = {
    'attaching': attaching, 'attaching-dead': attaching_dead,
    'attaching-nobody': attaching_nobody, 'detaching': detaching,
    'detaching-dead': detaching_dead, 'detaching-hung': detaching_hung,
    'detaching-nobody': detaching_nobody, 'boot-detaching': boot_detaching,
    'reserved': reserved, 'reserved-nobody': reserved_nobody,
    'server-gone': server_gone, 'server-gone-dead': server_gone_dead,
    'server-gone-backend-dead': server_gone_backend_dead,
    'multiattach-gone': multiattach_gone, 'two-attachments': two_attachments,
}
