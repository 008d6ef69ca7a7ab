-- database: nova_api
-- releases: yoga .. 2026.2
-- purpose: mark a server that no cell has as deleted, as nova does
-- params: server_id = server.id, mapping_id = mapping.id
-- guard in sql: mapping.state is live
-- guard by api: rows.live is 0
-- rows: 1

-- rows: 1
UPDATE instance_mappings
SET queued_for_delete = 1, updated_at = UTC_TIMESTAMP()
WHERE instance_mappings.id = :mapping_id
  AND instance_mappings.instance_uuid = :server_id
  AND (instance_mappings.queued_for_delete = 0 OR instance_mappings.queued_for_delete IS NULL);

-- rows: 0..1
DELETE FROM build_requests
WHERE build_requests.instance_uuid = :server_id;
