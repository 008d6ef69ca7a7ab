-- database: nova
-- releases: yoga .. 2026.2
-- purpose: soft-delete, as nova does, a server and all its rows where no API call can delete it
-- params: server_id = server.id, row_id = row.id, host = server.host, heartbeat = server.heartbeat
-- params: vm_state = server.vm_state, task_state = server.task_state, updated_at = server.updated_at
-- params: unlocked = server.unlock
-- guard in sql: row.id is not none
-- guard in sql: server.locked_out is False
-- guard in sql: server.moving is False
-- guard in sql: server.writes is nothing
-- guard by api: server.answered is True
-- guard by api: server.in_flight is False
-- guard by api: server.resize_waits is False
-- guard by api: server.written is False
-- guard by api: server.last_resort is True
-- guard by api: rows.live is 1
-- rows: 1

-- rows: 1
UPDATE instances
SET vm_state = 'deleted', task_state = NULL, terminated_at = COALESCE(terminated_at, UTC_TIMESTAMP()),
  deleted = id, deleted_at = UTC_TIMESTAMP()
WHERE instances.id = :row_id
  AND instances.uuid = :server_id
  AND instances.deleted = 0
  AND instances.vm_state <=> :vm_state
  AND instances.task_state <=> :task_state
  AND instances.updated_at <=> :updated_at
  AND BINARY instances.host <=> BINARY :host
  AND (:unlocked = 1 OR instances.locked IS NULL OR instances.locked = 0)
  AND NOT EXISTS (
    SELECT 1 FROM migrations AS m
    WHERE m.instance_uuid = :server_id AND m.deleted = 0
      AND m.status NOT IN ('confirmed', 'reverted', 'error', 'failed', 'completed', 'cancelled', 'done')
  )
  AND (
    NOT EXISTS (
      SELECT 1 FROM block_device_mapping AS b
      WHERE b.instance_uuid = :server_id AND b.deleted = 0 AND b.volume_id IS NOT NULL
    )
    OR NOT EXISTS (
      SELECT 1 FROM services AS s
      WHERE s.host = :host AND s.`binary` = 'nova-compute' AND s.deleted = 0
        AND s.last_seen_up > COALESCE(:heartbeat, '1970-01-01')
    )
  );

-- rows: 0..n
UPDATE block_device_mapping
SET deleted = id, deleted_at = UTC_TIMESTAMP()
WHERE block_device_mapping.instance_uuid = :server_id AND block_device_mapping.deleted = 0;

-- rows: 0..n
UPDATE instance_info_caches
SET deleted = id, deleted_at = UTC_TIMESTAMP()
WHERE instance_info_caches.instance_uuid = :server_id AND instance_info_caches.deleted = 0;

-- rows: 0..n
UPDATE instance_extra
SET deleted = id, deleted_at = UTC_TIMESTAMP()
WHERE instance_extra.instance_uuid = :server_id AND instance_extra.deleted = 0;

-- rows: 0..n
UPDATE instance_metadata
SET deleted = id, deleted_at = UTC_TIMESTAMP()
WHERE instance_metadata.instance_uuid = :server_id AND instance_metadata.deleted = 0;

-- rows: 0..n
UPDATE instance_system_metadata
SET deleted = id, deleted_at = UTC_TIMESTAMP()
WHERE instance_system_metadata.instance_uuid = :server_id AND instance_system_metadata.deleted = 0;

-- rows: 0..n
UPDATE instance_faults
SET deleted = id, deleted_at = UTC_TIMESTAMP()
WHERE instance_faults.instance_uuid = :server_id AND instance_faults.deleted = 0;

-- rows: 0..n
UPDATE security_group_instance_association
SET deleted = id, deleted_at = UTC_TIMESTAMP()
WHERE security_group_instance_association.instance_uuid = :server_id
  AND security_group_instance_association.deleted = 0;

-- rows: 0..n
UPDATE migrations
SET deleted = id, deleted_at = UTC_TIMESTAMP()
WHERE migrations.instance_uuid = :server_id AND migrations.deleted = 0;

-- rows: 0..n
UPDATE virtual_interfaces
SET deleted = id, deleted_at = UTC_TIMESTAMP()
WHERE virtual_interfaces.instance_uuid = :server_id AND virtual_interfaces.deleted = 0;

-- rows: 0..n
UPDATE instance_id_mappings
SET deleted = id, deleted_at = UTC_TIMESTAMP()
WHERE instance_id_mappings.uuid = :server_id AND instance_id_mappings.deleted = 0;

-- rows: 0..n
DELETE FROM tags
WHERE tags.resource_id = :server_id;

-- rows: 0..n
DELETE FROM console_auth_tokens
WHERE console_auth_tokens.instance_uuid = :server_id;

-- rows: 0..n, where the table exists
DELETE FROM share_mapping
WHERE share_mapping.instance_uuid = :server_id;
