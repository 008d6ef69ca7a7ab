-- database: nova
-- releases: yoga .. 2026.2
-- purpose: soft-delete, as nova does, a server's second mapping of a volume; the one whose attachment cinder has stays
-- params: mapping_id = mapping.id, mapping_uuid = mapping.uuid, attachment_id = mapping.attachment
-- params: device = mapping.device, server_id = server.id, volume_id = volume.id
-- params: kept_id = duplicate.kept, kept_attachment = duplicate.kept_attachment
-- params: vm_state = server.vm_state, power_state = server.power_state
-- guard in sql: mapping.id is not none
-- guard in sql: mapping.root is False
-- guard in sql: server.in_flight is False
-- guard in sql: server.task_state is none
-- guard in sql: duplicate.kept is not none
-- guard by api: duplicate.attachments is 1
-- guard by api: duplicate.guest is absent
-- guard by api: server.answered is True
-- rows: 1

-- rows: 1
SELECT instances.id FROM instances WHERE instances.uuid = :server_id AND instances.deleted = 0 FOR UPDATE;

-- rows: 1
UPDATE block_device_mapping
SET deleted = id, deleted_at = UTC_TIMESTAMP()
WHERE block_device_mapping.id = :mapping_id
  AND block_device_mapping.uuid = :mapping_uuid
  AND block_device_mapping.instance_uuid = :server_id
  AND block_device_mapping.volume_id = :volume_id
  AND block_device_mapping.attachment_id <=> :attachment_id
  AND block_device_mapping.device_name <=> :device
  AND block_device_mapping.deleted = 0
  AND (block_device_mapping.boot_index IS NULL OR block_device_mapping.boot_index <> 0)
  AND EXISTS (
    SELECT 1 FROM (
      SELECT DISTINCT k.id FROM block_device_mapping AS k
      WHERE k.id = :kept_id
        AND k.id <> :mapping_id
        AND k.instance_uuid = :server_id
        AND k.volume_id = :volume_id
        AND k.attachment_id = :kept_attachment
        AND (k.boot_index IS NULL OR k.boot_index <> 0)
        AND k.deleted = 0
    ) AS kept
  )
  AND EXISTS (
    SELECT 1 FROM instances AS i
    WHERE i.uuid = :server_id AND i.deleted = 0 AND i.task_state IS NULL AND i.vm_state <> 'building'
      AND i.vm_state = :vm_state AND i.power_state <=> :power_state
  )
  AND NOT EXISTS (
    SELECT 1 FROM migrations AS m
    WHERE m.instance_uuid = :server_id AND m.deleted = 0
      AND m.status NOT IN ('confirmed', 'reverted', 'error', 'failed', 'completed', 'cancelled', 'done')
  );
