"""Volumes about which cinder and nova do not agree."""
from openstack import exceptions

from labctl import control


def in_use_nobody(scene):
    """detaching by reset (accepted by mistake), then rolled back."""
    volume = scene.volume()
    scene.reset(volume, status='detaching')
    scene.act(volume, 'os-roll_detaching', {})
    scene.wait_volume(volume, 'in-use')


def available_mapped(scene):
    """The careless reset: cinder forgets, nova and the guest do not."""
    _, volume = scene.attached_pair()
    scene.reset(volume, status='available', attach_status='detached')


def available_attached(scene):
    _, volume = scene.attached_pair()
    scene.reset(volume, status='available')


def available_error_attaching(scene):
    """os-attach while the back end's driver is not initialized leaves an
    attachment in error and the volume attaching; then the careless reset."""
    server, volume = scene.server(), scene.volume()
    control.fail(scene.storage_host, 'initialized')
    try:
        scene.act(volume, 'os-attach', {
            'instance_uuid': server, 'mountpoint': '/dev/vdb', 'mode': 'rw'})
    except exceptions.HttpException as e:
        scene.notes['refused'] = str(e.details)
    finally:
        control.release(scene.storage_host, 'initialized')
    scene.reset(volume, status='available')


def in_use_mapped(scene):
    """in-use without an attachment, mapped by nova."""
    _, volume = scene.attached_pair()
    scene.reset(volume, status='available', attach_status='detached')
    scene.reset(volume, status='detaching')
    scene.act(volume, 'os-roll_detaching', {})
    scene.wait_volume(volume, 'in-use')


def shelved(scene):
    """Healthy: a shelved server keeps its volume reserved."""
    server, volume = scene.attached_pair()
    scene.as_user().compute.shelve_server(server)
    scene.wait_server(server, lambda s: s.status == 'SHELVED_OFFLOADED'
                      and not s.task_state)
    scene.wait_volume(volume, 'reserved')


def healthy(scene):
    """Bystanders: an attached pair and a free volume."""
    scene.attached_pair()
    scene.volume('frei')


STATES = {
    'in-use-nobody': in_use_nobody, 'available-mapped': available_mapped,
    'available-attached': available_attached,
    'available-error-attaching': available_error_attaching,
    'in-use-mapped': in_use_mapped, 'shelved': shelved, 'healthy': healthy,
}
