"""Images that glance, or whoever filled them, left half done."""
import contextlib
import threading

from openstack import exceptions

from labctl import cloud, control, database, processes, settings

DATA = b'\1' * 200000       # more than one chunk of the file store
BINARY = {'Content-Type': 'application/octet-stream'}


def _image(scene, **fields):
    """An image without data, of the scene's user; returns its id."""
    image = scene.as_user().image.create_image(
        name='%s-bíld-像-%s' % (scene.state, scene.tag), disk_format='raw',
        container_format='bare', allow_duplicates=True, **fields).id
    scene.images.append(image)
    return image


def _active(scene, **fields):
    image = _image(scene, **fields)
    _send(scene, image, 'file')
    return image


def _send(scene, image, place):
    answer = scene.as_user().image.put(
        '/images/%s/%s' % (image, place), data=DATA, headers=BINARY)
    exceptions.raise_from_response(answer)


def _lost(request, *arguments):
    """Make a request whose answer will not come."""
    def send():
        with contextlib.suppress(Exception):
            request(*arguments)
    threading.Thread(target=send, daemon=True).start()


def queued(scene):
    """Registered, and never filled."""
    _image(scene)


def saving(scene):
    """glance-api killed in the middle of an upload."""
    image = _image(scene)
    scene.killed_in('glance', 'add', lambda: _lost(_send, scene, image, 'file'))


def uploading(scene):
    """glance-api killed in the middle of an upload to the staging area."""
    image = _image(scene)
    scene.killed_in('glance', 'add',
                    lambda: _lost(_send, scene, image, 'stage'))


def importing(scene):
    """glance-api killed in the middle of an import."""
    image = _image(scene)
    _send(scene, image, 'stage')
    scene.killed_in('glance', 'add', lambda: scene.as_user().image.post(
        '/images/%s/import' % image,
        json={'method': {'name': 'glance-direct'}}))


def deactivated(scene):
    scene.admin.image.deactivate_image(_active(scene))


def half_deleted(scene):
    """glance-api killed between its two transactions of a deletion: the status
    says deleted, the row is not. A lock on a tag makes room for the kill."""
    image = _active(scene, tags=['schlüssel'])
    with database.connect('glance', autocommit=False) as db, db.cursor() as cursor:
        cursor.execute('SELECT * FROM image_tags WHERE image_id=%s FOR UPDATE',
                       (image,))
        _lost(scene.admin.image.delete, '/images/' + image)
        processes.wait_for(
            'half a deletion', lambda: _status(image) == 'deleted', 30)
        scene.die('glance')
        db.rollback()
    scene.revive('glance')


def _status(image):
    with database.connect('glance') as db, db.cursor() as cursor:
        cursor.execute('SELECT status FROM images WHERE id=%s', (image,))
        return cursor.fetchone()[0]


def pending_delete(scene):
    """Deleted under delayed_delete; no scrubber runs in the lab."""
    image = _active(scene)
    path = settings.ETC / 'glance/glance-api.conf'
    text = path.read_text()
    path.write_text(text + '\n[DEFAULT]\ndelayed_delete = true\n')
    try:
        _restart_glance()
        exceptions.raise_from_response(
            scene.admin.image.delete('/images/' + image))
    finally:
        path.write_text(text)
        _restart_glance()


def _restart_glance():
    cloud.kill('glance')
    cloud.revive('glance')


def snapshot_killed(scene):
    """nova-compute killed while it makes a snapshot of a server."""
    server = scene.server()
    def snapshot():
        scene.images.append(scene.as_user().compute.create_server_image(
            server, 'snap-' + scene.tag).id)
    scene.killed_in(scene.compute_host, 'snapshot', snapshot, leave_dead=True)


def upload_hung(scene):
    """An upload that is being sent, and takes its time."""
    image = _image(scene)
    control.hold('glance', 'add')
    _lost(_send, scene, image, 'file')
    control.wait_held('glance', 'add')


STATES = {
    'image-queued': queued, 'image-saving': saving,
    'image-uploading': uploading, 'image-importing': importing,
    'image-deactivated': deactivated, 'image-half-deleted': half_deleted,
    'image-pending-delete': pending_delete,
    'image-snapshot-killed': snapshot_killed,
    'image-upload-hung': upload_hung,
}
