"""What cinder has counted, made wrong behind its back: no call leaves it so on
purpose, deaths at the right moment do."""
import uuid

from labctl import database, processes
from labctl.breaks.scene import FOREVER


def quotas_apart(scene):
    """Two volumes and a snapshot; counts too high, too low and negative, one
    resource counted twice, a reservation that has expired, and a count of a
    volume type that is gone (cinder-manage dies of that one)."""
    volume = scene.volume()
    scene.volume('zweites')
    storage = scene.as_user().block_storage
    snapshot = storage.create_snapshot(volume_id=volume, name='schnapp').id
    processes.wait_for(
        'snapshot ' + snapshot, lambda: storage.get_snapshot(
            snapshot).status == 'available', FOREVER, 0.2)
    project, admin = (
        scene.admin.identity.find_project(p).id for p in ('demo', 'admin'))
    connection = database.connect('cinder', autocommit=True)
    with connection, connection.cursor() as cursor:
        for resource, change in (
                ('volumes', 'in_use + 5'), ('gigabytes', '-3'),
                ('snapshots_' + scene.storage_host, '0')):
            cursor.execute(
                'UPDATE quota_usages SET in_use = %s WHERE deleted = 0 AND '
                'project_id = %%s AND resource = %%s' % change,
                (project, resource))
        cursor.execute(
            'INSERT INTO quota_usages (created_at, deleted, project_id, '
            'resource, in_use, reserved) SELECT UTC_TIMESTAMP(), 0, '
            'project_id, resource, 1, 0 FROM quota_usages WHERE deleted = 0 '
            "AND project_id = %s AND resource = 'snapshots'", (project,))
        cursor.execute(
            'INSERT INTO quota_usages (created_at, deleted, project_id, '
            'resource, in_use, reserved, race_preventer) VALUES '
            "(UTC_TIMESTAMP(), 0, %s, 'volumes_weg', 4, 0, 1)", (admin,))
        cursor.execute(
            'INSERT INTO reservations (created_at, deleted, uuid, usage_id, '
            'project_id, resource, delta, expire) SELECT UTC_TIMESTAMP() - '
            'INTERVAL 2 DAY, 0, %s, id, project_id, resource, 7, '
            'UTC_TIMESTAMP() - INTERVAL 1 DAY FROM quota_usages WHERE '
            "deleted = 0 AND project_id = %s AND resource = 'gigabytes'",
            (str(uuid.uuid4()), project))
        cursor.execute(
            'UPDATE quota_usages SET reserved = 7 WHERE deleted = 0 AND '
            "project_id = %s AND resource = 'gigabytes'", (project,))
    scene.notes['projects'] = {'demo': project, 'admin': admin}


STATES = {'quotas-apart': quotas_apart}
