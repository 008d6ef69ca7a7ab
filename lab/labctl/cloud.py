"""Bringing the whole lab up and down, and single processes of it."""
import concurrent.futures
import getpass
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

from labctl import api, broker, configs, database, fill, processes, settings, template

APIS = ('keystone', 'glance', 'placement', 'nova', 'cinder', 'neutron')
HOSTS = settings.COMPUTES + settings.VOLUMES
ALL = ('epmd', 'rabbit', 'mariadb') + APIS + HOSTS
# The order of the end: first those that use the others.
STOP_ORDER = (APIS + HOSTS, ('mariadb', 'rabbit'), ('epmd',))
ALIASES = {'nova-api': 'nova', 'cinder-api': 'cinder', 'glance-api': 'glance',
           'neutron-server': 'neutron', 'rabbitmq': 'rabbit'}
_T0 = time.monotonic()


def say(text):
    """Progress, with the seconds since the command began, on stderr."""
    print('%6.1fs %s' % (time.monotonic() - _T0, text), file=sys.stderr,
          flush=True)


def real_name(name):
    """The process or network host that a name on the command line means."""
    name = ALIASES.get(name, name)
    if name not in ALL + settings.NETWORKS:
        raise processes.LabError('no such process: %s (there are: %s)' % (
            name, ', '.join(ALL + settings.NETWORKS)))
    return name


def start(name):
    """Start one process, whatever it is."""
    if name in APIS:
        arguments = ['api', name, settings.PORTS[name]]
    elif name in settings.COMPUTES:
        arguments = ['compute', name]
    elif name in settings.VOLUMES:
        arguments = ['volume', name]
    elif name == 'mariadb':
        return database.start()
    else:
        return broker.start()
    env = settings.environment()
    env.update(LAB_PROCESS=name,
               LAB_NETWORK_HOSTS=','.join(settings.NETWORKS))
    processes.start(name, [settings.VENV / 'bin' / 'python',
                           settings.HERE / 'services' / 'serve.py',
                           *arguments], env)


def _answers(name):
    """Does an API answer at all?"""
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            'http://127.0.0.1:%d/' % settings.PORTS[name], timeout=10).close()
    except urllib.error.HTTPError:
        return True         # an answer, if an unfriendly one
    except OSError:
        return False
    return True


def _lives(name):
    """Raise with the end of its log if a process has ended."""
    if name in ALL and not processes.pid_of(name):
        raise processes.LabError('%s ended\n%s' % (
            name, processes.log_tail(name)))
    return True


def wait(name, seconds=240):
    """Wait until a started process does its work."""
    if name in ('mariadb', 'rabbit'):
        return {'mariadb': database, 'rabbit': broker}[name].wait()
    works = _answers if name in APIS else api.host_works
    try:
        processes.wait_for(name, lambda: _lives(name) and works(name), seconds,
                           0.1 if name in APIS else 0.3)
    except processes.TimeUp as e:
        raise processes.LabError('%s\n%s' % (e, processes.log_tail(name)))


def run(name, *command):
    """Run a setup command; its output goes to a log, shown if it fails."""
    log = settings.LOG / ('setup-%s.log' % name)
    with open(log, 'w') as out:
        done = subprocess.run([str(c) for c in command], stdout=out, stderr=out,
                              stdin=subprocess.DEVNULL, cwd=settings.STATE,
                              env=settings.environment())
    if done.returncode:
        raise processes.LabError('%s failed\n%s' % (
            name, processes.log_tail('setup-' + name)))


def _tool(name):
    return settings.VENV / 'bin' / name


def _make_keystone():
    manage = [_tool('keystone-manage'), '--config-dir', settings.ETC / 'keystone']
    run('keystone', *manage, 'db_sync')
    user = getpass.getuser()
    for step in ('fernet_setup', 'credential_setup'):
        run(step, *manage, step, '--keystone-user', user, '--keystone-group',
            subprocess.run(['id', '-gn'], capture_output=True,
                           text=True).stdout.strip())
    run('bootstrap', *manage, 'bootstrap', '--bootstrap-password',
        settings.PASSWORD, '--bootstrap-region-id', settings.REGION,
        '--bootstrap-public-url', settings.AUTH_URL,
        '--bootstrap-internal-url', settings.AUTH_URL)
    start('keystone')
    wait('keystone')
    fill.identity()
    api.connect.cache_clear()       # its token has the empty catalogue
    say('keystone up and filled')


def _make_nova():
    manage = [_tool('nova-manage'), '--config-file', settings.ETC / 'nova/nova.conf']
    run('nova-api-db', *manage, 'api_db', 'sync')
    run('nova-cell0', *manage, 'cell_v2', 'map_cell0', '--database_connection',
        settings.database_url('nova_cell0'))
    run('nova-db', *manage, 'db', 'sync')
    # nova fills the template from [database]/connection of its nova.conf
    run('nova-cell1', *manage, 'cell_v2', 'create_cell', '--name', 'cell1',
        '--database_connection', '{scheme}://{username}:{password}@{hostname}'
        ':{port}/nova_cell1?{query}', '--transport-url', settings.transport_url())


def _make_others():
    run('cinder', _tool('cinder-manage'), '--config-file',
        settings.ETC / 'cinder/cinder.conf', 'db', 'sync')
    run('glance', _tool('glance-manage'), '--config-dir',
        settings.ETC / 'glance', 'db_sync')


def _make_neutron():
    run('neutron', _tool('neutron-db-manage'), '--config-file',
        settings.ETC / 'neutron/neutron.conf', 'upgrade', 'heads')


def _parallel(*functions):
    """Run functions at once; the first failure is raised."""
    with concurrent.futures.ThreadPoolExecutor(len(functions)) as pool:
        for future in [pool.submit(f) for f in functions]:
            future.result()


def _start_brokers(fresh):
    broker.start()
    if fresh:
        database.install()
    database.start()
    database.wait()
    if fresh:
        database.make_users()
    say('mariadb up')


def _start_services():
    """Everything but the databases; keystone may be running already."""
    if not processes.pid_of('keystone'):
        start('keystone')
    for name in ('placement', 'glance', 'neutron'):
        start(name)
    broker.wait()
    # cinder-scheduler waits for a first report of a cinder-volume, and
    # nova's scheduler ends when placement does not answer
    for name in settings.VOLUMES:
        start(name)
    wait('placement')
    start('nova')
    start('cinder')
    for name in settings.COMPUTES:
        start(name)
    for name in APIS:
        wait(name)
    say('APIs up')


def _build():
    """A cloud from nothing."""
    _start_brokers(fresh=True)
    _parallel(_make_keystone, _make_nova, _make_neutron, _make_others)
    say('databases made')
    _start_services()
    fill.image_and_flavors()
    fill.networks()
    fill.volume_types()
    for name in HOSTS + settings.NETWORKS:
        wait(name)
    fill.schedule_networks()
    wait_hypervisors()
    template.save()


def _restart():
    """The filled cloud again, from the databases the last `down` left."""
    _start_brokers(fresh=False)
    broker.wait()
    for name in HOSTS:
        broker.purge(name)
    template.restore()
    _start_services()
    for name in HOSTS + settings.NETWORKS:
        wait(name)


def wait_hypervisors():
    """Until nova has mapped every compute host to its cell."""
    compute = api.connect().compute
    processes.wait_for(
        'hypervisors', lambda: {h.name for h in compute.hypervisors(
            details=True) if h.state == 'up'} >= set(settings.COMPUTES), 60, 0.3)


def running():
    return [n for n in ALL if processes.pid_of(n)]


def _check_ports():
    taken = [p for n, p in settings.PORTS.items() if broker.listening(n)]
    if taken:
        raise processes.LabError(
            'ports in use: %s (LAB_PORT_BASE chooses others)' % taken)


def up(from_nothing=False):
    """Bring the lab up, or say that it is."""
    alive = running()
    if len(alive) == len(ALL):
        say('already up: %d processes' % len(alive))
        return
    if alive:
        raise processes.LabError('partly up; not running: %s. Use lab/reset, '
                                 'lab/revive or lab/down.' % ', '.join(
                                     sorted(set(ALL) - set(alive))))
    _check_ports()
    settings.save()
    if from_nothing or not template.usable():
        template.forget_everything()
    again = template.usable()
    configs.write()
    template.clear_control()
    try:
        (_restart if again else _build)()
    except BaseException:
        down()
        raise
    say('cloud ready, %d processes: eval "$(%s/env)"' % (
        len(running()), settings.HERE))


def down():
    """End what the lab started; the state stays."""
    stopped = processes.stop_all(STOP_ORDER)
    say('stopped %d processes' % stopped)


def kill(name, until_down=False):
    """SIGKILL a process, or silence the agents of a network host."""
    name = real_name(name)
    if name in settings.NETWORKS:
        (settings.CONTROL / 'dead' / name).touch()
    elif not processes.kill(name, signal.SIGKILL):
        say('%s was not running' % name)
    for marker in (settings.CONTROL / 'held').glob(name + '.*'):
        marker.unlink(missing_ok=True)
    if until_down and name in HOSTS + settings.NETWORKS:
        wait_down(name)


def wait_down(name):
    """Until the API reports a dead host down.  Nobody waits for the time to
    pass: its last heartbeat is made older, again if one was on its way."""
    processes.wait_for('silence of ' + name, lambda: _silent(name), 30)

    def called_down():
        template.age_heartbeats(name)
        return api.host_state(name) == 'down'
    processes.wait_for(name + ' down', called_down, 60, 0.3)


def _silent(name):
    """Have the agents of a network host read that they are dead?"""
    return (name not in settings.NETWORKS or not processes.pid_of('neutron')
            or (settings.CONTROL / 'dead' / name).read_text())


def revive(name):
    """Start a dead process again and wait until it does its work."""
    name = real_name(name)
    if not running():
        raise processes.LabError('the lab is not up; use lab/up')
    (settings.CONTROL / 'dead' / name).unlink(missing_ok=True)
    if name not in settings.NETWORKS and not processes.pid_of(name):
        start(name)
    wait(name)
