"""The lab's APIs as its users see them."""
import functools

from labctl import broker, settings

# Newest microversions the breaks rely on.
VOLUME = '3.70'
COMPUTE = '2.96'


@functools.lru_cache(None)
def connect(user='admin', project=None):
    """An SDK connection of a user, in the project of the same name or
    another one."""
    import openstack  # here, because most commands need no API
    return openstack.connect(
        auth_url=settings.AUTH_URL, username=user, password=settings.PASSWORD,
        project_name=project or user, user_domain_name='Default',
        project_domain_name='Default', region_name=settings.REGION)


def host_state(name):
    """'up' or 'down' as nova, cinder or neutron reports the host."""
    cloud = connect()
    if name in settings.COMPUTES:
        found = [s.state for s in cloud.compute.services(
            host=name, binary='nova-compute')]
    elif name in settings.VOLUMES:
        found = [s.state for s in cloud.block_storage.services(
            host=name + '@fake', binary='cinder-volume')]
    else:
        found = ['up' if a.is_alive else 'down'
                 for a in cloud.network.agents(host=name)]
        if len(set(found)) > 1:
            return 'partly'
    return found[0] if found else 'absent'


def _consumers(channel, queue):
    return channel.queue_declare(queue, passive=True).consumer_count


def takes_requests(name):
    """Does the host's process consume its RPC queue?"""
    queues = broker.queues_of(name)
    if not queues:
        return True
    connection = broker.connect()
    try:
        return _consumers(connection.channel(), queues[0]) > 0
    except broker.amqp.NotFound:
        return False
    finally:
        connection.close()


def host_works(name):
    """Does the API report the host up, and does it take requests?"""
    return takes_requests(name) and host_state(name) == 'up'
