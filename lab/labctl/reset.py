"""Going back to the freshly filled cloud while it runs."""
from labctl import broker, cloud, control, database, processes, settings, template


def _stop_held():
    """A held call would go on once released: end its process instead."""
    for name in cloud.HOSTS + ('cinder', 'glance'):
        if control.any_held(name) and processes.kill(name):
            cloud.say('%s ended: it had a held call' % name)


def _start_databases():
    for name in ('rabbit', 'mariadb'):
        if not processes.pid_of(name):
            cloud.start(name)
            cloud.wait(name)


def _stop_estranged():
    """Processes whose service row has been replaced keep the old id in
    memory and would go on without a row: they have to start anew."""
    with database.connect() as db, db.cursor() as cursor:
        for host in template.estranged(cursor):
            name = host.partition('@')[0]
            if name in cloud.HOSTS and processes.kill(name):
                cloud.say('%s ended: its service row is another one' % name)


def _restore_until_quiet(attempts=5):
    """What was under way may still write: restore until nothing differs."""
    for _ in range(attempts):
        if not template.restore() - set(template.HEARTBEATS):
            return
    raise processes.LabError('the databases keep changing')


def _start_dead():
    """Start what is dead; nova and cinder want these two to answer."""
    dead = [n for n in cloud.ALL if not processes.pid_of(n)]
    for name in dead:
        cloud.start(name)
        if name in ('keystone', 'placement'):
            cloud.wait(name)
    for name in cloud.APIS + cloud.HOSTS + settings.NETWORKS:
        cloud.wait(name)
    return dead


def reset(quiet=False):
    """End leftovers of breaks, restore the rows, revive the dead, wait."""
    if not template.usable() or not cloud.running():
        raise processes.LabError('the lab is not up; use lab/up')
    _start_databases()
    _stop_held()
    _stop_estranged()
    template.clear_control()
    for name in cloud.HOSTS:
        if not processes.pid_of(name):
            broker.purge(name)
    _restore_until_quiet()
    dead = _start_dead()
    _restore_until_quiet()
    template.forget_guests()
    if not quiet:
        cloud.say('reset; started again: %s' % (', '.join(dead) or 'nothing'))
