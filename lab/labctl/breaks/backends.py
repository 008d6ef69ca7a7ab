"""Work of a back end that stopped in the middle."""
from labctl import broker, cloud, control


def _create_killed(scene, call, **options):
    made = []
    scene.killed_in(scene.storage_host, call, lambda: made.append(
        scene.volume(ready=False, **options)), leave_dead=True)


def creating_dead(scene):
    _create_killed(scene, 'create_volume')


def creating(scene):
    """A living service, and no worker."""
    scene.reset(scene.volume(), status='creating')


def creating_unscheduled(scene):
    """cinder-scheduler killed after it took the request and before it
    registered as the worker (later, its restart would set `error`)."""
    scene.killed_in('cinder', 'create_volume',
                    lambda: scene.volume(ready=False))


def downloading_dead(scene):
    image = scene.admin.image.find_image('cirros').id
    _create_killed(scene, 'copy_image_to_volume', image_id=image)


def downloading_hung(scene):
    image = scene.admin.image.find_image('cirros').id
    scene.hung_in(scene.storage_host, 'copy_image_to_volume',
                  lambda: scene.volume(ready=False, image_id=image))


def deleting(scene):
    """The request got lost with the broker while the back end was dead."""
    volume = scene.volume()
    cloud.kill(scene.storage_host)
    scene.as_user().block_storage.delete_volume(volume)
    scene.wait_volume(volume, 'deleting')
    scene.notes['messages_lost'] = broker.purge(scene.storage_host)
    scene.revive(scene.storage_host)


def deleting_dead(scene):
    volume = scene.volume()
    scene.killed_in(
        scene.storage_host, 'delete_volume',
        lambda: scene.as_user().block_storage.delete_volume(volume),
        leave_dead=True)


def deleting_hung(scene):
    volume = scene.volume()
    scene.hung_in(
        scene.storage_host, 'delete_volume',
        lambda: scene.as_user().block_storage.delete_volume(volume))


def error_deleting(scene, keep_failing=False):
    """The back end refused to delete; it would not any more."""
    volume = scene.volume()
    control.fail(scene.storage_host, 'delete_volume')
    scene.as_user().block_storage.delete_volume(volume)
    scene.wait_volume(volume, 'error_deleting')
    if not keep_failing:
        control.release(scene.storage_host, 'delete_volume')


def error_deleting_failing(scene):
    error_deleting(scene, keep_failing=True)


def _upload(scene, volume):
    answer = scene.act(volume, 'os-volume_upload_image', {
        'image_name': 'upload-%s' % scene.tag, 'disk_format': 'raw',
        'container_format': 'bare'}, user=scene.user)
    scene.images.append(answer.json()['os-volume_upload_image']['image_id'])


def uploading_dead(scene):
    volume = scene.volume()
    scene.killed_in(scene.storage_host, 'copy_volume_to_image',
                    lambda: _upload(scene, volume), leave_dead=True)


def uploading_hung(scene):
    volume = scene.volume()
    scene.hung_in(scene.storage_host, 'copy_volume_to_image',
                  lambda: _upload(scene, volume))


STATES = {
    'creating': creating, 'creating-dead': creating_dead,
    'creating-unscheduled': creating_unscheduled,
    'downloading-dead': downloading_dead, 'downloading-hung': downloading_hung,
    'deleting': deleting, 'deleting-dead': deleting_dead,
    'deleting-hung': deleting_hung, 'error_deleting': error_deleting,
    'error_deleting-failing': error_deleting_failing,
    'uploading-dead': uploading_dead, 'uploading-hung': uploading_hung,
}
