#!/usr/bin/env python3
"""Run one process of the lab.

    serve.py api PROJECT PORT   a project's WSGI app under waitress; nova with
                                its conductor and scheduler, cinder with its
                                scheduler, neutron with its RPC listeners and
                                the network hosts' agents
    serve.py compute HOST       one nova-compute
    serve.py volume HOST        one cinder-volume
"""
import importlib
import os
import sys
import threading
import traceback

ROLE, NAME = sys.argv[1:3]
ETC = os.path.join(os.environ['LAB_DIR'], 'etc')
KEEP = []       # service objects live as long as the process


def keystone():
    os.environ['OS_KEYSTONE_CONFIG_FILES'] = 'keystone.conf'
    return importlib.import_module('keystone.wsgi.api').application


def glance():
    import lab_glance
    lab_glance.gate()
    return importlib.import_module('glance.wsgi.api').application


def placement():
    return importlib.import_module('placement.wsgi.api').application


def nova():
    os.environ['OS_NOVA_CONFIG_FILES'] = 'api-paste.ini;nova.conf'
    # selects native threads, so it comes before every other nova import
    from nova.wsgi.osapi_compute import application
    from nova.conductor import rpcapi as conductor_rpcapi
    from nova.scheduler import rpcapi as scheduler_rpcapi
    from nova import service
    for binary, topic in (('nova-conductor', conductor_rpcapi.RPC_TOPIC),
                          ('nova-scheduler', scheduler_rpcapi.RPC_TOPIC)):
        KEEP.append(service.Service.create(binary=binary, topic=topic))
        KEEP[-1].start()
    return application


def cinder():
    from cinder import monkey_patch
    monkey_patch.patch(backend='threading')
    sys.argv += ['--config-file', os.path.join(ETC, 'cinder', 'cinder.conf')]
    from cinder.wsgi.api import application
    from cinder.common import constants
    from cinder import service
    KEEP.append(service.Service.create(binary=constants.SCHEDULER_BINARY))
    KEEP[-1].start()
    return application


def neutron():
    os.environ['OS_NEUTRON_CONFIG_FILES'] = 'neutron.conf'
    from oslo_service import backend
    backend.init_backend(backend.BackendType.THREADING)
    from neutron.wsgi.api import application
    from neutron_lib.plugins import directory
    directory.get_plugin().start_rpc_listeners()
    import lab_agents
    lab_agents.start(os.environ['LAB_NETWORK_HOSTS'].split(','))
    return application


def api():
    """Serve a project's API.  (cheroot would break uploads: glance closes
    wsgi.input, which closes the kept-alive connection.)"""
    port = int(sys.argv[3])
    os.environ['OS_%s_CONFIG_DIR' % NAME.upper()] = os.path.join(ETC, NAME)
    sys.argv = ['%s-api' % NAME]        # the apps parse it themselves
    application = globals()[NAME]()
    import waitress
    waitress.create_server(
        application, host='127.0.0.1', port=port, threads=12, ident='lab',
        max_request_body_size=1 << 34).run()


def _config_files(project):
    return ['--config-file', os.path.join(ETC, project, project + '.conf'),
            '--config-file', os.path.join(ETC, project, 'hosts', NAME + '.conf')]


def compute():
    """nova-compute's own main; nova loads drivers from nova.virt only."""
    sys.argv = ['nova-compute'] + _config_files('nova')
    from nova.cmd import compute as command
    from nova.servicegroup import api as servicegroup
    servicegroup.INITIAL_REPORTING_DELAY = 0    # seconds; nova has 5
    import nova.virt
    nova.virt.__path__.append(os.path.join(
        os.path.dirname(os.path.abspath(__file__)), 'nova_virt'))
    command.main()


def volume():
    """cinder-volume without the launcher's second process, so that one
    SIGKILL ends it."""
    sys.argv = ['cinder-volume']
    from cinder import monkey_patch
    monkey_patch.patch(backend='threading')
    import cinder.cmd.volume  # noqa: F401  registers its options
    from cinder import objects
    from cinder import service
    from cinder import version
    from cinder.common import constants
    import os_brick
    from oslo_config import cfg
    from oslo_log import log as logging
    objects.register_all()
    cfg.CONF(_config_files('cinder'), project='cinder',
             version=version.version_string())
    logging.setup(cfg.CONF, 'cinder')
    os_brick.setup(cfg.CONF)
    KEEP.append(service.Service.create(
        host='%s@fake' % NAME, service_name='fake',
        binary=constants.VOLUME_BINARY, coordination=True))
    KEEP[-1].start()
    threading.Event().wait()


if __name__ == '__main__':
    try:
        globals()[ROLE]()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)     # other threads would keep the process
