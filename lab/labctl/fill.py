"""Filling a fresh cloud: users, catalogue, image, flavors, networks, types."""
from labctl import api, settings

FLAVORS = (('m1.tiny', 512, 1, 1), ('m1.small', 2048, 1, 20),
           ('m1.large', 8192, 4, 80))      # name, MiB, CPUs, GB


def _catalogue():
    url = {k: 'http://127.0.0.1:%d' % v for k, v in settings.PORTS.items()}
    return (('glance', 'image', url['glance']),
            ('placement', 'placement', url['placement']),
            ('nova', 'compute', url['nova'] + '/v2.1'),
            ('cinder', 'block-storage', url['cinder'] + '/v3'),
            ('neutron', 'network', url['neutron']))


def identity():
    """Projects, users, roles and the catalogue; keystone has to be up."""
    keystone = api.connect().identity
    roles = {r.name: r for r in keystone.roles()}
    if 'service' not in roles:
        roles['service'] = keystone.create_role(name='service')
    service = keystone.create_project(name='service', domain_id='default')
    demo = keystone.create_project(name='demo', domain_id='default')
    user = keystone.create_user(name='demo', password=settings.PASSWORD,
                                domain_id='default', default_project_id=demo.id)
    keystone.assign_project_role_to_user(demo, user, roles['member'])
    keystone.assign_project_role_to_user(
        demo, next(keystone.users(name='admin')), roles['admin'])
    for name, kind, url in _catalogue():
        user = keystone.create_user(name=name, password=settings.PASSWORD,
                                    domain_id='default')
        for role in ('admin', 'service'):
            keystone.assign_project_role_to_user(service, user, roles[role])
        entry = keystone.create_service(name=name, type=kind)
        for interface in ('public', 'internal'):
            keystone.create_endpoint(service_id=entry.id, interface=interface,
                                     url=url, region_id=settings.REGION)


def image_and_flavors():
    cloud = api.connect()
    cloud.image.create_image(
        'cirros', data=b'\0' * 65536, disk_format='raw',
        container_format='bare', visibility='public', wait=True,
        allow_duplicates=True)
    for name, ram, vcpus, disk in FLAVORS:
        cloud.compute.create_flavor(name=name, ram=ram, vcpus=vcpus, disk=disk)


def networks():
    """A public network, and a private one with a router for each project."""
    cloud = api.connect()
    net = cloud.network
    public = net.create_network(
        name='public', is_router_external=True, provider_network_type='flat',
        provider_physical_network='physnet1')
    net.create_subnet(name='public-subnet', network_id=public.id, ip_version=4,
                      cidr='198.51.100.0/24', is_dhcp_enabled=False)
    demo = cloud.identity.find_project('demo')
    for project, prefix in ((cloud.current_project_id, ''), (demo.id, 'demo-')):
        private = net.create_network(name=prefix + 'private',
                                     project_id=project)
        subnet = net.create_subnet(
            name=prefix + 'private-subnet', network_id=private.id,
            project_id=project, ip_version=4, cidr='10.0.0.0/22',
            is_dhcp_enabled=False)
        router = net.create_router(
            name=prefix + 'router', project_id=project,
            external_gateway_info={'network_id': public.id})
        net.add_interface_to_router(router, subnet_id=subnet.id)


def schedule_networks():
    """Give each network host a router, and both hosts every network's DHCP;
    the agents have to be alive."""
    net = api.connect().network
    agents = {(a.agent_type, a.host): a for a in net.agents()}
    for i, router in enumerate(sorted(net.routers(), key=lambda r: r.name)):
        agent = agents['L3 agent', settings.NETWORKS[i % 2]]
        if router.id not in [r.id for r in net.agent_hosted_routers(agent)]:
            net.add_router_to_agent(agent, router)
    for network in net.networks(is_router_external=False):
        for host in settings.NETWORKS:
            agent = agents['DHCP agent', host]
            if network.id not in [n.id for n in net.dhcp_agent_hosting_networks(
                    agent)]:
                net.add_dhcp_agent_to_network(agent, network)


def volume_types():
    """A type per back end, a free one and a multiattach one."""
    storage = api.connect().block_storage
    for host in settings.VOLUMES:
        storage.create_type(name=host,
                            extra_specs={'volume_backend_name': host})
    storage.create_type(name='fake')
    storage.create_type(
        name='multiattach', extra_specs={'multiattach': '<is> True',
                                         'volume_backend_name': 'cinder-02'})
