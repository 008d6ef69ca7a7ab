"""The lab's command line; the scripts in lab/ call it."""
import argparse
import contextlib
import fcntl
import json
import sys

from labctl import cloud, control, processes, settings


def _up(args):
    cloud.up(args.from_nothing)


def _down(args):
    cloud.down()


def _reset(args):
    from labctl import reset
    reset.reset()


def _kill(args):
    cloud.kill(args.name, args.wait)


def _revive(args):
    cloud.revive(args.name)


def _hold(args):
    control.hold(cloud.real_name(args.name), args.call)
    if args.wait:
        control.wait_held(cloud.real_name(args.name), args.call, args.wait)


def _fail(args):
    control.fail(cloud.real_name(args.name), args.call)


def _release(args):
    control.release(cloud.real_name(args.name), args.call)


def _break(args):
    from labctl import breaks
    print(json.dumps(breaks.make(args.state, args.host), indent=2,
                     ensure_ascii=False))


def _check(args):
    from labctl import check
    return 1 if check.check(args.states) else 0


def _status(args):
    rows = {}
    for name in cloud.ALL:
        pid = processes.pid_of(name)
        rows[name] = {'pid': pid, 'alive': bool(pid),
                      'pss_mb': processes.memory_mb(name)}
    for name in settings.NETWORKS:
        alive = rows['neutron']['alive'] and not (
            settings.CONTROL / 'dead' / name).exists()
        rows[name] = {'pid': None, 'alive': alive, 'pss_mb': 0}
    print(json.dumps({'lab_dir': str(settings.LAB_DIR),
                      'pss_mb': sum(r['pss_mb'] for r in rows.values()),
                      'processes': rows}, indent=2))
    return 0 if all(r['alive'] for r in rows.values()) else 1


def _credentials(user):
    return {'OS_AUTH_URL': settings.AUTH_URL, 'OS_USERNAME': user,
            'OS_PASSWORD': settings.PASSWORD, 'OS_PROJECT_NAME': user,
            'OS_USER_DOMAIN_NAME': 'Default',
            'OS_PROJECT_DOMAIN_NAME': 'Default',
            'OS_REGION_NAME': settings.REGION, 'OS_IDENTITY_API_VERSION': '3',
            'no_proxy': '127.0.0.1'}


def _env(args):
    values = _credentials(args.user)
    values.update(LAB_DIR=settings.LAB_DIR,
                  OPSFIX_SERVICES_CONF_DIR=settings.ETC)
    for key, value in values.items():
        print("export %s='%s'" % (key, value))


def _parser():
    parser = argparse.ArgumentParser(prog='lab')
    commands = parser.add_subparsers(required=True, metavar='COMMAND')

    def command(name, function, *positional):
        sub = commands.add_parser(name)
        sub.set_defaults(function=function)
        for argument in positional:
            sub.add_argument(argument.strip('?').lower(), metavar=argument.strip('?'),
                             nargs='?' if argument.endswith('?') else None)
        return sub

    command('up', _up).add_argument(
        '--from-nothing', action='store_true',
        help='make the databases anew, even if they could be restored')
    command('down', _down)
    command('reset', _reset)
    command('kill', _kill, 'NAME').add_argument(
        '--wait', action='store_true', help='until the API reports it down')
    command('revive', _revive, 'NAME')
    command('hold', _hold, 'NAME', 'CALL').add_argument(
        '--wait', type=float, metavar='SECONDS',
        help='wait until a call is being held')
    command('release', _release, 'NAME', 'CALL?')
    command('fail', _fail, 'NAME', 'CALL')
    command('break', _break, 'STATE', 'HOST?')
    command('check', _check).add_argument('states', nargs='*', metavar='STATE')
    command('status', _status)
    command('env', _env).add_argument('user', nargs='?', default='admin',
                                      choices=('admin', 'demo'))
    return parser


@contextlib.contextmanager
def _alone(needed):
    """One of the commands that change the whole lab at a time."""
    if not needed:
        yield
        return
    settings.LAB_DIR.mkdir(parents=True, exist_ok=True)
    with open(settings.LAB_DIR / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _an_answer(error):
    """Is it what an API said?  Told by name, lest each command import the
    SDK, which takes most of a second."""
    return any(kind.__module__.partition('.')[0] in ('openstack', 'keystoneauth1')
               for kind in type(error).__mro__)


def main():
    args = _parser().parse_args()
    try:
        with _alone(args.function in (_up, _down, _reset, _break, _check)):
            return args.function(args)
    except Exception as e:
        if not isinstance(e, processes.LabError) and not _an_answer(e):
            raise
        print('lab: %s' % e, file=sys.stderr)
        return 1


sys.exit(main())
