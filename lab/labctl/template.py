"""The freshly filled cloud as rows, and going back to it.

The rows of every table are kept in LAB_DIR/template/rows.pickle.  Going back
rewrites only the tables whose rows differ: a few hundred small SELECTs find
them in about a second, with the services running.
"""
import pickle
import shutil
import subprocess

import pymysql

from labctl import database, settings

ROWS = settings.TEMPLATE / 'rows.pickle'
# Rewritten all the time by living services, so a difference means nothing;
# the columns are set to now, lest a living service looks dead for a moment.
HEARTBEATS = {
    ('nova_cell1', 'services'): ('updated_at', 'last_seen_up'),
    ('nova_cell1', 'compute_nodes'): ('updated_at',),
    ('cinder', 'services'): ('updated_at',),
    ('neutron', 'agents'): ('heartbeat_timestamp',)}
# What a living process remembers of its own row; the host comes first.
IDENTITIES = {('nova_cell1', 'services'): ('host', 'id', 'uuid', 'deleted'),
              ('nova_cell1', 'compute_nodes'): ('host', 'id', 'uuid', 'deleted'),
              ('cinder', 'services'): ('host', 'id', 'uuid', 'deleted')}


def usable():
    """Is there a template of a cloud made by this version of the lab?"""
    return (ROWS.exists() and database.data_dir().exists()
            and (settings.TEMPLATE / 'made-by').read_text() == _made_by())


def _made_by():
    """What the filled cloud depends on: ports, configuration, filling."""
    parts = [str(settings.PORT_BASE)]
    for path in [settings.HERE / 'requirements.txt',
                 settings.HERE / 'labctl' / 'fill.py',
                 settings.HERE / 'labctl' / 'settings.py']:
        parts.append(path.read_text())
    return '\n'.join(parts)


def _tables(cursor, name):
    cursor.execute("SELECT table_name FROM information_schema.tables WHERE "
                   "table_schema=%s AND table_type='BASE TABLE'", (name,))
    return sorted(row[0] for row in cursor.fetchall())


def _rows(cursor, name, table):
    cursor.execute('SELECT * FROM `%s`.`%s`' % (name, table))
    return cursor.fetchall()


def _read():
    with database.connect() as db, db.cursor() as cursor:
        return {(name, table): _rows(cursor, name, table)
                for name in database.NAMES for table in _tables(cursor, name)}


def save():
    """Keep the present rows and images as the template."""
    images = settings.TEMPLATE / 'images'
    shutil.rmtree(images, ignore_errors=True)
    shutil.copytree(settings.STATE / 'glance/images', images)
    (settings.TEMPLATE / 'made-by').write_text(_made_by())
    ROWS.write_bytes(pickle.dumps(_read()))


def differing(cursor, kept):
    """Tables (database, table) whose rows are not the template's."""
    present = {(name, table) for name in database.NAMES
               for table in _tables(cursor, name)}
    return [key for key in sorted(present)
            if sorted(map(repr, _rows(cursor, *key)))
            != sorted(map(repr, kept.get(key, ())))]


def restore():
    """Put the template's rows and images back; returns the tables changed."""
    kept = pickle.loads(ROWS.read_bytes())
    with database.connect(autocommit=False) as db, db.cursor() as cursor:
        cursor.execute('SET SESSION foreign_key_checks=0, unique_checks=0')
        cursor.execute('SET SESSION innodb_lock_wait_timeout=5')
        changed = differing(cursor, kept)
        db.rollback()
        for key in changed:
            _retry(db, lambda: _rewrite(cursor, key, kept.get(key, ())))
    _restore_images()
    return set(changed)


def estranged(cursor):
    """Hosts whose rows of identity are not the template's any more."""
    kept = pickle.loads(ROWS.read_bytes())
    hosts = set()
    for key, columns in IDENTITIES.items():
        cursor.execute('SELECT column_name FROM information_schema.columns '
                       'WHERE table_schema=%s AND table_name=%s '
                       'ORDER BY ordinal_position', key)
        names = [row[0] for row in cursor.fetchall()]
        at = [names.index(c) for c in columns]
        before, now = ({tuple(row[i] for i in at) for row in rows}
                       for rows in (kept[key], _rows(cursor, *key)))
        hosts.update(row[0] for row in before ^ now)
    return hosts


def _retry(db, action, attempts=5):
    """The services write meanwhile: 1213 and 1205 are worth another try."""
    for attempt in range(attempts):
        try:
            action()
            db.commit()
            return
        except pymysql.err.OperationalError as e:
            db.rollback()
            if e.args[0] not in (1205, 1213) or attempt == attempts - 1:
                raise


def _rewrite(cursor, key, rows):
    cursor.execute('DELETE FROM `%s`.`%s`' % key)
    if rows:
        marks = ','.join(['%s'] * len(rows[0]))
        cursor.executemany('INSERT INTO `%s`.`%s` VALUES (%s)' % (*key, marks),
                           rows)
    for column in HEARTBEATS.get(key, ()):
        cursor.execute('UPDATE `%s`.`%s` SET %s=UTC_TIMESTAMP()' % (*key, column))


def _restore_images():
    images = settings.STATE / 'glance/images'
    for path in images.iterdir():
        path.unlink()
    for path in (settings.TEMPLATE / 'images').iterdir():
        shutil.copy(path, images)
    for name in ('stage', 'tasks'):
        for path in (settings.STATE / 'glance' / name).iterdir():
            path.unlink()


def age_heartbeats(name):
    """Let a dead host have last been heard of so long ago that it is called
    down.  A heartbeat that was already older stays as it is."""
    with database.connect(autocommit=True) as db, db.cursor() as cursor:
        for (where, table), columns in HEARTBEATS.items():
            for column in columns:
                cursor.execute(
                    "UPDATE `%s`.`%s` SET %s=LEAST(%s, UTC_TIMESTAMP() - "
                    "INTERVAL %d SECOND) WHERE SUBSTRING_INDEX(host, '@', 1)"
                    "=%%s" % (where, table, column, column,
                              settings.DOWN_AFTER + 5), (name,))


def forget_guests(hosts=settings.COMPUTES):
    """Remove every fake guest of these compute hosts."""
    for host in hosts:
        for path in (settings.STATE / host / 'guests').glob('*'):
            path.unlink(missing_ok=True)


def clear_control():
    """Forget holds, failures, markers and silenced network hosts."""
    forget_guests()
    for path in settings.CONTROL.glob('*/*'):
        path.unlink(missing_ok=True)


def forget_everything():
    """Remove the state of a former cloud; the venv stays."""
    for name in ('etc', 'log', 'run', 'state', 'control', 'template',
                 'mariadb', 'rabbit'):
        subprocess.run(['rm', '-rf', str(settings.LAB_DIR / name)], check=True)
