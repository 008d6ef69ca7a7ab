"""What every broken state is made of: servers, volumes, deaths, waiting."""
import secrets

from openstack import exceptions

from labctl import api, cloud, control, processes, settings, template

FOREVER = 90        # seconds after which a condition is not coming


class Scene:
    """One broken state in the making; collects the ids for the report."""

    def __init__(self, state, host=None, user='demo'):
        """`host` overrides the nova-compute or the cinder-volume used."""
        self.state = state
        self.user = user
        self.compute_host, self.storage_host = 'gpu-02', 'cinder-02'
        if host in settings.COMPUTES:
            self.compute_host = host
        elif host in settings.VOLUMES:
            self.storage_host = host
        elif host:
            raise processes.LabError('%s is not a compute or volume host' % host)
        self.admin = api.connect()
        self.tag = secrets.token_hex(2)
        self.servers, self.volumes, self.images, self.groups = [], [], [], []
        self.notes = {}

    # --- making things

    def as_user(self):
        return api.connect(self.user)

    def as_admin_there(self):
        """The admin with a token for the scene's project."""
        return api.connect('admin', self.user)

    def server(self, name='sérver', boot_volume=None):
        """An ACTIVE server on the scene's compute host; returns its id."""
        prefix = '' if self.user == 'admin' else self.user + '-'
        body = dict(
            name='%s-%s-%s' % (self.state, name, self.tag),
            flavor_id=self.admin.compute.find_flavor('m1.tiny').id,
            networks=[{'uuid': self.admin.network.find_network(
                prefix + 'private').id}],
            availability_zone='nova:' + self.compute_host)
        if boot_volume:
            body['block_device_mapping_v2'] = [dict(
                uuid=boot_volume, source_type='volume', boot_index=0,
                destination_type='volume', delete_on_termination=False)]
        else:
            body['image_id'] = self.admin.image.find_image('cirros').id
        # only an admin may name a host, so the admin acts in the project
        server = self.as_admin_there().compute.create_server(**body).id
        self.servers.append(server)
        self.wait_server(server, lambda s: s.status == 'ACTIVE'
                         and not s.task_state)
        return server

    def volume(self, name='vólumen-磁盘', kind=None, ready=True, **options):
        """A volume of 1 GB on the scene's back end; returns its id."""
        storage = self.as_user().block_storage
        volume = storage.create_volume(
            name='%s-%s-%s' % (self.state, name, self.tag), size=1,
            volume_type=kind or self.storage_host, **options).id
        self.volumes.append(volume)
        if ready:
            self.wait_volume(volume, 'available')
        return volume

    def attach(self, server, volume, ready=True):
        """Attach through nova, as users do."""
        self.as_user().compute.create_volume_attachment(
            server, volume_id=volume)
        if ready:
            self.wait_volume(volume, 'in-use')
            self.wait_server(server, lambda s: not s.task_state)

    def detach(self, server, volume):
        self.as_user().compute.delete_volume_attachment(server, volume)

    def attached_pair(self):
        """A server and a volume that is attached to it."""
        server, volume = self.server(), self.volume()
        self.attach(server, volume)
        return server, volume

    # --- calls the SDK has no name for

    def act(self, volume, action, body=None, user='admin'):
        """POST /volumes/ID/action."""
        answer = api.connect(user).block_storage.post(
            '/volumes/%s/action' % volume, json={action: body},
            microversion=api.VOLUME)
        exceptions.raise_from_response(answer)
        return answer

    def reset(self, volume, **fields):
        """os-reset_status with exactly these fields."""
        self.act(volume, 'os-reset_status', fields)

    def attachment(self, volume, server, mode='rw'):
        """POST /attachments without a connector; returns the id."""
        answer = self.as_admin_there().block_storage.post(
            '/attachments', microversion=api.VOLUME, json={'attachment': {
                'volume_uuid': volume, 'instance_uuid': server, 'mode': mode}})
        exceptions.raise_from_response(answer)
        return answer.json()['attachment']['id']

    def complete_attachment(self, attachment):
        answer = self.as_admin_there().block_storage.post(
            '/attachments/%s/action' % attachment, microversion=api.VOLUME,
            json={'os-complete': {}})
        exceptions.raise_from_response(answer)

    def attachments(self, volume):
        """Cinder's live attachments of a volume, with connection_info."""
        storage = self.admin.block_storage
        listed = storage.get('/attachments?all_tenants=1&volume_id=' + volume,
                             microversion=api.VOLUME).json()['attachments']
        return [storage.get('/attachments/' + a['id'],
                            microversion=api.VOLUME).json()['attachment']
                for a in listed]

    def mappings(self, server):
        """Nova's volume attachments of a server (its BDMs), or []."""
        answer = self.admin.compute.get(
            '/servers/%s/os-volume_attachments' % server,
            microversion=api.COMPUTE)
        return answer.json().get('volumeAttachments', [])

    # --- deaths

    def die(self, name):
        cloud.kill(name)

    def revive(self, name):
        cloud.revive(name)

    def lose_guests(self, host):
        """What a loss of power does to a dead host's guests."""
        template.forget_guests([host])

    def killed_in(self, name, call, request, leave_dead=False):
        """Hold a call, make the request, SIGKILL the process in the middle."""
        control.hold(name, call)
        try:
            request()
            control.wait_held(name, call)
        finally:
            self.die(name)
            control.release(name, call)
        if leave_dead:
            cloud.wait_down(name)
        else:
            self.revive(name)

    def hung_in(self, name, call, request):
        """Hold a call and leave it held, its process alive."""
        control.hold(name, call)
        request()
        control.wait_held(name, call)

    # --- waiting

    def get_volume(self, volume):
        return self.admin.block_storage.get(
            '/volumes/' + volume, microversion=api.VOLUME).json()['volume']

    def wait_volume(self, volume, *status):
        """Until the volume has one of the statuses."""
        processes.wait_for(
            'volume %s %s' % (volume, '/'.join(status)),
            lambda: self.get_volume(volume)['status'] in status, FOREVER, 0.2)

    def wait_server(self, server, condition):
        def met():
            found = self.admin.compute.get_server(server)
            if found.status == 'ERROR':
                raise processes.LabError('server %s: ERROR %s' % (
                    server, found.fault))
            return condition(found)
        processes.wait_for('server ' + server, met, FOREVER, 0.2)

    def wait_server_gone(self, server):
        processes.wait_for(
            'end of server ' + server,
            lambda: self._server_details(server)['status'] == 'gone', FOREVER,
            0.2)

    # --- the outcome

    def report(self):
        """The ids of the state, and what the APIs tell of them."""
        servers = [self._server_details(s) for s in self.servers]
        volumes = [self._volume_details(v) for v in self.volumes]
        attachments = [self._attachment_details(a) for v in self.volumes
                       for a in self.attachments(v)]
        return dict({
            'state': self.state, 'project': self.user,
            'hosts': [self.compute_host, self.storage_host],
            'dead': [n for n in cloud.HOSTS if not processes.pid_of(n)],
            'servers': self.servers, 'volumes': self.volumes,
            'attachments': [a['id'] for a in attachments],
            'images': self.images, 'groups': self.groups,
            'details': {'servers': servers, 'volumes': volumes,
                        'attachments': attachments}}, **self.notes)

    def _volume_details(self, volume):
        shown = self.get_volume(volume)
        return {'id': volume, 'name': shown['name'], 'status': shown['status'],
                'migration_status': shown['migration_status'],
                'group_id': shown.get('group_id'),
                'host': shown['os-vol-host-attr:host']}

    @staticmethod
    def _attachment_details(found):
        return {'id': found['id'], 'volume': found['volume_id'],
                'server': found['instance'], 'status': found['status'],
                'connected': bool(found.get('connection_info'))}

    def _server_details(self, server):
        try:
            found = self.admin.compute.get_server(server)
        except exceptions.NotFoundException:
            return {'id': server, 'status': 'gone', 'mappings': []}
        return {'id': server, 'name': found.name, 'status': found.status,
                'task_state': found.task_state, 'host': found.compute_host,
                'mappings': [{'volume': m['volumeId'],
                              'attachment': m['attachment_id'],
                              'bdm': m['bdm_uuid']}
                             for m in self.mappings(server)]}
