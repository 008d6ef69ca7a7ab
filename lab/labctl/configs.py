"""Writing the services' configuration from the templates in lab/etc."""
import os
import shutil
import string

from labctl import database, settings

# project -> (its configuration file, keystone's service type)
PROJECTS = {
    'keystone': ('keystone.conf', None),
    'glance': ('glance-api.conf', 'image'),
    'placement': ('placement.conf', 'placement'),
    'nova': ('nova.conf', 'compute'),
    'cinder': ('cinder.conf', 'block-storage'),
    'neutron': ('neutron.conf', 'network'),
}
OVER_RABBIT = ('nova', 'cinder')    # the others talk to themselves only


def _template(name):
    return string.Template((settings.HERE / 'etc' / name).read_text())


def _auth(user):
    """Keystone options of a service user."""
    return '\n'.join([
        'auth_type = password', 'auth_url = ' + settings.AUTH_URL,
        'username = ' + user, 'password = ' + settings.PASSWORD,
        'project_name = service', 'user_domain_name = Default',
        'project_domain_name = Default', 'region_name = ' + settings.REGION])


def _values():
    values = {'log': settings.LOG, 'state': settings.STATE,
              'etc': settings.ETC, 'venv': settings.VENV,
              'debug': os.environ.get('LAB_DEBUG', 'false')}
    values.update(('port_' + k, v) for k, v in settings.PORTS.items())
    values.update(('db_' + d, settings.database_url(d)) for d in database.NAMES)
    values.update(('auth_' + p, _auth(p)) for p in PROJECTS)
    return values


def _write_project(project, values):
    target, service_type = PROJECTS[project]
    rabbit = project in OVER_RABBIT
    values = dict(
        values, project=project, service_type=service_type,
        auth=_auth(project), host='ctl-01',
        transport_url=settings.transport_url() if rabbit else 'fake://')
    if service_type:
        values['common'] = _template('common.conf').substitute(values)
    text = _template(target).substitute(values)
    path = settings.ETC / project / target
    path.write_text(text)
    path.chmod(0o600)


def _write_host(project, host, extra=''):
    """The few options in which a host differs from its project's file."""
    directory = settings.ETC / project / 'hosts'
    directory.mkdir(exist_ok=True)
    (directory / (host + '.conf')).write_text(
        '[DEFAULT]\nhost = %s\nstate_path = %s\nlog_file = %s\n%s' % (
            host, settings.STATE / host, settings.LOG / (host + '.log'), extra))
    (settings.STATE / host).mkdir(exist_ok=True)


def _compute_identity(directory):
    """nova-compute refuses a second start without this file; the lab's
    driver derives node ids from host names and does not use its content."""
    path = directory / 'compute_id'
    if not path.exists():
        with open('/proc/sys/kernel/random/uuid') as f:
            path.write_text(f.read())


def _copy_paste_files():
    shipped, etc = settings.VENV / 'etc', settings.ETC
    for project, names in (
            ('nova', ['api-paste.ini', 'rootwrap.conf']),
            ('neutron', ['api-paste.ini']), ('glance', ['glance-api-paste.ini']),
            ('cinder', ['api-paste.ini', 'resource_filters.json',
                        'rootwrap.conf'])):
        for name in names:
            shutil.copy(shipped / project / name, etc / project / name)


def write():
    """Write everything below LAB_DIR/etc, and the directories it names."""
    for directory in (settings.LOG, settings.RUN, settings.TEMPLATE,
                      *(settings.CONTROL / d
                        for d in ('hold', 'fail', 'held', 'dead'))):
        directory.mkdir(parents=True, exist_ok=True)
    values = _values()
    for project in PROJECTS:
        (settings.ETC / project).mkdir(parents=True, exist_ok=True)
        (settings.STATE / project / 'lock').mkdir(parents=True, exist_ok=True)
        _write_project(project, values)
    for name in ('images', 'stage', 'tasks'):
        (settings.STATE / 'glance' / name).mkdir(exist_ok=True)
    _copy_paste_files()
    for host in settings.COMPUTES:
        _write_host('nova', host)
        _compute_identity(settings.STATE / host)
    for host in settings.VOLUMES:
        _write_host('cinder', host,
                    '[fake]\nvolume_backend_name = %s\n' % host)
