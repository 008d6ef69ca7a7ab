"""A private RabbitMQ node with its own epmd, cookie and ports, on loopback."""
import secrets
import socket

import amqp

from labctl import processes, settings

SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server'


def _home():
    return settings.LAB_DIR / 'rabbit'


def write_config():
    """Configuration and the Erlang cookie (private to this lab)."""
    home = _home()
    home.mkdir(parents=True, exist_ok=True)
    cookie = home / '.erlang.cookie'
    if not cookie.exists():
        cookie.touch(mode=0o600)
        cookie.write_text(secrets.token_hex(12))
        cookie.chmod(0o400)
    (home / 'enabled_plugins').write_text('')
    (home / 'rabbitmq.conf').write_text(
        'listeners.tcp.1 = 127.0.0.1:%d\n'
        'default_user = lab\n'
        'default_pass = %s\n'
        'loopback_users = none\n'
        'vm_memory_high_watermark.absolute = 400MB\n'
        % (settings.PORTS['rabbit'], settings.PASSWORD))


def _environment():
    home = _home()
    return dict(
        settings.environment(), HOME=str(home),
        ERL_EPMD_PORT=str(settings.PORTS['epmd']),
        ERL_EPMD_ADDRESS='127.0.0.1',
        RABBITMQ_NODENAME='lab%d@localhost' % settings.PORTS['rabbit'],
        RABBITMQ_MNESIA_BASE=str(home / 'mnesia'),
        RABBITMQ_LOG_BASE=str(settings.LOG),
        RABBITMQ_CONFIG_FILE=str(home / 'rabbitmq.conf'),
        RABBITMQ_ENABLED_PLUGINS_FILE=str(home / 'enabled_plugins'),
        RABBITMQ_DIST_PORT=str(settings.PORTS['rabbit_dist']),
        RABBITMQ_CONF_ENV_FILE='/dev/null', RABBITMQ_PID_FILE=str(home / 'pid'),
        # erlang would respawn an epmd of its own while it stops
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=(
            '-start_epmd false -kernel inet_dist_use_interface {127,0,0,1} '
            '+S 2:2 +sbwt none'))


def start():
    """Start epmd and the node; `wait` afterwards."""
    write_config()
    env = _environment()
    if not processes.pid_of('epmd'):
        processes.start('epmd', ['epmd', '-port', settings.PORTS['epmd']], env)
        processes.wait_for('epmd', lambda: listening('epmd'), 10)
    processes.start('rabbit', [SERVER], env)


def listening(name):
    """Does anything accept connections on that port of ours?"""
    try:
        socket.create_connection(('127.0.0.1', settings.PORTS[name]), 1).close()
        return True
    except OSError:
        return False


def _ready():
    if not processes.pid_of('rabbit'):
        raise processes.LabError('rabbit ended\n' + processes.log_tail('rabbit'))
    if not listening('rabbit'):
        return False
    try:
        connect().close()
        return True
    except (OSError, amqp.AMQPError):
        return False


def wait():
    processes.wait_for('rabbit', _ready, 60)


def connect():
    connection = amqp.Connection(
        host='127.0.0.1:%d' % settings.PORTS['rabbit'], userid='lab',
        password=settings.PASSWORD, virtual_host='/')
    connection.connect()
    return connection


def queues_of(name):
    """Queues in which requests for a nova-compute or cinder-volume wait."""
    if name in settings.COMPUTES:
        return ['compute.' + name, 'compute-alt.' + name]
    if name in settings.VOLUMES:
        return ['cinder-volume.%s@fake.%s' % (name, name),
                'cinder-volume.%s@fake' % name]
    return []


def purge(name):
    """Throw away what waits for a host; returns the number of messages."""
    count = 0
    connection = connect()
    for queue in queues_of(name):
        channel = connection.channel()
        try:
            count += channel.queue_purge(queue) or 0
            channel.close()
        except amqp.NotFound:
            pass        # the broker closed the channel with the error
    connection.close()
    return count
