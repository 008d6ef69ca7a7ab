"""cinder's own fake driver and its scheduler, behind the lab's gate.

Image and volume data are not moved; the states a volume goes through
meanwhile are cinder's.
"""
import io

from cinder.scheduler import manager
from cinder.tests import fake_driver

import lab_gate

IMAGE = b'\0' * 65536


@lab_gate.gated(
    'create_volume', 'delete_volume', 'extend_volume', 'create_snapshot',
    'delete_snapshot', 'create_cloned_volume', 'create_volume_from_snapshot',
    'initialize_connection', 'terminate_connection', 'attach_volume',
    'detach_volume', 'create_export', 'remove_export', 'copy_volume_to_image',
    'migrate_volume', 'retype', 'manage_existing')
class LabVolumeDriver(fake_driver.FakeLoggingVolumeDriver):
    """A back end of endless size."""

    @property
    def initialized(self):
        return super().initialized and not lab_gate.failing('initialized')

    def clone_image(self, context, volume, image_location, image_meta,
                    image_service):
        # what cinder's download step does, less the data
        volume.status = 'downloading'
        volume.save()
        lab_gate.enter('copy_image_to_volume')
        return {}, True

    def copy_volume_to_image(self, context, volume, image_service,
                             image_meta):
        image_service.update(context, image_meta['id'], {}, io.BytesIO(IMAGE))

    def attach_volume(self, context, volume, instance_uuid, host_name,
                      mountpoint):
        pass

    def detach_volume(self, context, volume, attachment=None):
        pass

    def migrate_volume(self, context, volume, host):
        return True, {}

    def retype(self, context, volume, new_type, diff, host):
        return True, {}

    def _update_volume_stats(self):
        super()._update_volume_stats()
        name = self.configuration.safe_get('volume_backend_name')
        self._stats['volume_backend_name'] = name
        self._stats['pools'][0].update(
            pool_name='pool', reserved_percentage=0, multiattach=True,
            max_over_subscription_ratio='20.0', thin_provisioning_support=True)


@lab_gate.gated('create_volume')
class LabSchedulerManager(manager.SchedulerManager):
    """cinder-scheduler; a held request is one that no worker has taken."""
