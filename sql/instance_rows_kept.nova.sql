-- database: nova
-- releases: yoga .. 2026.2
-- purpose: remove the rows of a server that is soft-deleted and whose guest is proven absent, children first
-- params: server_id = server.id, row_id = row.id, actions = rows.actions
-- params: host = server.host, heartbeat = server.heartbeat, ended = rows.ended
-- guard in sql: row.id is not none
-- guard in sql: rows.guest is absent
-- guard by api: rows.referenced is 0
-- guard by api: rows.evacuated_from is no host
-- guard by api: attachments.left is 0
-- guard by api: ports.left is 0
-- guard by api: allocation.held is False
-- rows: 1

-- rows: 1
SELECT instances.id FROM instances WHERE instances.uuid = :server_id AND instances.deleted <> 0 FOR UPDATE;

-- rows: 0..n
DELETE FROM instance_actions_events
WHERE instance_actions_events.action_id IN :actions;

-- rows: 0..n
DELETE FROM instance_actions
WHERE instance_actions.instance_uuid = :server_id;

-- rows: 0..n
DELETE FROM block_device_mapping
WHERE block_device_mapping.instance_uuid = :server_id;

-- rows: 0..n
DELETE FROM instance_extra
WHERE instance_extra.instance_uuid = :server_id;

-- rows: 0..n
DELETE FROM instance_faults
WHERE instance_faults.instance_uuid = :server_id;

-- rows: 0..n
DELETE FROM instance_info_caches
WHERE instance_info_caches.instance_uuid = :server_id;

-- rows: 0..n
DELETE FROM instance_metadata
WHERE instance_metadata.instance_uuid = :server_id;

-- rows: 0..n
DELETE FROM instance_system_metadata
WHERE instance_system_metadata.instance_uuid = :server_id;

-- rows: 0..n
DELETE FROM migrations
WHERE migrations.instance_uuid = :server_id;

-- rows: 0..n
DELETE FROM security_group_instance_association
WHERE security_group_instance_association.instance_uuid = :server_id;

-- rows: 0..n
DELETE FROM virtual_interfaces
WHERE virtual_interfaces.instance_uuid = :server_id;

-- rows: 0..n, where the table exists
DELETE FROM share_mapping
WHERE share_mapping.instance_uuid = :server_id;

-- rows: 0..n
DELETE FROM instance_id_mappings
WHERE instance_id_mappings.uuid = :server_id;

-- rows: 0..n
DELETE FROM tags
WHERE tags.resource_id = :server_id;

-- rows: 0..n
DELETE FROM console_auth_tokens
WHERE console_auth_tokens.instance_uuid = :server_id;

-- rows: 1
DELETE FROM instances
WHERE instances.id = :row_id
  AND instances.uuid = :server_id
  AND instances.deleted = instances.id
  AND BINARY instances.host <=> BINARY :host
  AND (:ended = 1 OR NOT EXISTS (
    SELECT 1 FROM services AS s
    WHERE s.host = :host AND s.`binary` = 'nova-compute' AND s.deleted = 0
      AND s.last_seen_up > COALESCE(:heartbeat, '1970-01-01')
  ));
