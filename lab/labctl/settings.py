"""Where the lab lives, which ports it uses and what its passwords are.

A lab is one state directory (LAB_DIR).  What was chosen at `lab/up` is kept
in LAB_DIR/lab.json, so that later commands need LAB_DIR only.
"""
import json
import os
import pathlib
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent.parent
LAB_DIR = pathlib.Path(os.environ['LAB_DIR'])
VENV = pathlib.Path(os.environ['LAB_VENV'])

ETC = LAB_DIR / 'etc'
LOG = LAB_DIR / 'log'
RUN = LAB_DIR / 'run'
STATE = LAB_DIR / 'state'
CONTROL = LAB_DIR / 'control'
TEMPLATE = LAB_DIR / 'template'

COMPUTES = ('gpu-01', 'gpu-02', 'gpu-03')
VOLUMES = ('cinder-01', 'cinder-02')
NETWORKS = ('net-01', 'net-02')
DOWN_AFTER = 75     # seconds without a heartbeat: neutron; nova, cinder: 60
REGION = 'RegionOne'
PASSWORD = 'lab'            # of every keystone user

# Database user -> (password, its databases).  One password needs quoting in
# a URL, as a generated password does.
DATABASES = {
    'keystone': ('keystone-secret', ('keystone',)),
    'glance': ('glance-secret', ('glance',)),
    'placement': ('placement-secret', ('placement',)),
    'nova': ('nova-secret', ('nova_api', 'nova_cell0', 'nova_cell1')),
    'cinder': ('cinder/s3cr@t', ('cinder',)),
    'neutron': ('neutron-secret', ('neutron',)),
}
ROOT_PASSWORD = 'lab-root'  # of MariaDB's root@127.0.0.1

_PORTS = ('keystone', 'glance', 'placement', 'nova', 'cinder', 'neutron',
          'mariadb', 'rabbit', 'rabbit_dist', 'epmd')


def _port_base():
    """First of the ten TCP ports: the environment, then the lab's memory."""
    if os.environ.get('LAB_PORT_BASE'):
        return int(os.environ['LAB_PORT_BASE'])
    try:
        return json.loads((LAB_DIR / 'lab.json').read_text())['port_base']
    except FileNotFoundError:
        return 25000


PORT_BASE = _port_base()
PORTS = {name: PORT_BASE + i for i, name in enumerate(_PORTS)}
AUTH_URL = 'http://127.0.0.1:%d/v3' % PORTS['keystone']


def save():
    """Remember the choices for later commands."""
    LAB_DIR.mkdir(parents=True, exist_ok=True)
    (LAB_DIR / 'lab.json').write_text(json.dumps({'port_base': PORT_BASE}))


def user_of(database):
    """The service user that owns a database."""
    return next(u for u, (_, owned) in DATABASES.items() if database in owned)


def database_url(database):
    """SQLAlchemy URL of a database with its service's own user."""
    user = user_of(database)
    password = urllib.parse.quote(DATABASES[user][0], safe='')
    return 'mysql+pymysql://%s:%s@127.0.0.1:%d/%s?charset=utf8mb4' % (
        user, password, PORTS['mariadb'], database)


def transport_url():
    return 'rabbit://lab:%s@127.0.0.1:%d/' % (PASSWORD, PORTS['rabbit'])


def environment():
    """Environment of every process the lab starts."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith('OS_') and 'proxy' not in k.lower()}
    env.pop('PYTHONDONTWRITEBYTECODE', None)
    env.update(
        LAB_DIR=str(LAB_DIR), PYTHONPATH=str(HERE / 'services'),
        PYTHONWARNINGS='ignore', no_proxy='127.0.0.1', OMP_NUM_THREADS='1',
        OPENBLAS_NUM_THREADS='1', OS_CINDER_DISABLE_EVENTLET_PATCHING='1',
        OS_PLACEMENT_CONFIG_DIR=str(ETC / 'placement'),
        PATH='%s:/usr/sbin:/usr/bin:/sbin:/bin' % (VENV / 'bin'))
    return env
