-- database: nova_api
-- releases: yoga .. 2026.2
-- purpose: remove what nova's API database keeps of a server whose rows are gone, as archiving does
-- params: server_id = server.id, mapping_id = mapping.id
-- guard in sql: mapping.state is queued
-- guard by api: rows.live is 0
-- rows: 1

-- rows: 0..n
DELETE FROM instance_group_member
WHERE instance_group_member.instance_uuid = :server_id;

-- rows: 0..1
DELETE FROM request_specs
WHERE request_specs.instance_uuid = :server_id;

-- rows: 0..1
DELETE FROM build_requests
WHERE build_requests.instance_uuid = :server_id;

-- rows: 1
DELETE FROM instance_mappings
WHERE instance_mappings.id = :mapping_id
  AND instance_mappings.instance_uuid = :server_id
  AND instance_mappings.queued_for_delete = 1;
