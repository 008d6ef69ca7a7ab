"""A private MariaDB on loopback, without durability, one user per service."""
import os
import subprocess

import pymysql

from labctl import processes, settings

NAMES = tuple(d for _, owned in settings.DATABASES.values() for d in owned)


def data_dir():
    return settings.LAB_DIR / 'mariadb'


def _as_user():
    # mariadbd refuses to run as root unless told so
    return ['--user=root'] if os.geteuid() == 0 else []


def install():
    """Make an empty data directory."""
    with open(settings.LOG / 'mariadb-install.log', 'w') as log:
        done = subprocess.run(
            ['mariadb-install-db', '--no-defaults', *_as_user(),
             '--datadir=%s' % data_dir(), '--skip-test-db',
             '--auth-root-authentication-method=normal'],
            stdout=log, stderr=log, env=settings.environment())
    if done.returncode:
        raise processes.LabError('mariadb-install-db failed\n'
                                 + processes.log_tail('mariadb-install'))


def start():
    """Start mariadbd; `wait` afterwards."""
    # A relative socket path is relative to the data directory, which keeps
    # it under the 107 bytes a unix socket's path may have.
    processes.start('mariadb', [
        'mariadbd', '--no-defaults', *_as_user(),
        '--datadir=%s' % data_dir(), '--socket=s', '--pid-file=pid',
        '--bind-address=127.0.0.1', '--port=%d' % settings.PORTS['mariadb'],
        '--skip-name-resolve', '--max-connections=600',
        '--character-set-server=utf8mb4', '--skip-log-bin',
        '--innodb-flush-log-at-trx-commit=0', '--innodb-doublewrite=0',
        '--innodb-buffer-pool-size=96M', '--innodb-log-file-size=48M',
        '--performance-schema=off'])


def connect(database=None, **options):
    """A connection as MariaDB's root over TCP."""
    return pymysql.connect(
        host='127.0.0.1', port=settings.PORTS['mariadb'], user='root',
        password=settings.ROOT_PASSWORD, database=database,
        charset='utf8mb4', **options)


def _answers(password):
    try:
        pymysql.connect(host='127.0.0.1', port=settings.PORTS['mariadb'],
                        user='root', password=password).close()
        return True
    except pymysql.err.OperationalError as e:
        if e.args[0] == 1045:       # it answers, with another password
            return True
        if not processes.pid_of('mariadb'):
            raise processes.LabError('mariadb ended\n'
                                     + processes.log_tail('mariadb'))
        return False


def wait():
    processes.wait_for('mariadb', lambda: _answers(settings.ROOT_PASSWORD), 60)


def make_users():
    """The databases and their users; root gets its password last."""
    db = pymysql.connect(host='127.0.0.1', port=settings.PORTS['mariadb'],
                         user='root', password='')
    with db, db.cursor() as cursor:
        for user, (password, owned) in settings.DATABASES.items():
            cursor.execute("CREATE USER %s@'127.0.0.1' IDENTIFIED BY %s",
                           (user, password))
            for name in owned:
                cursor.execute('CREATE DATABASE %s CHARACTER SET utf8mb4' % name)
                cursor.execute("GRANT ALL ON %s.* TO %%s@'127.0.0.1'" % name,
                               (user,))
        cursor.execute("ALTER USER root@'127.0.0.1' IDENTIFIED BY %s",
                       (settings.ROOT_PASSWORD,))
