-- database: nova_api
-- releases: yoga .. 2026.2
-- purpose: delete a request to build a server that is deleted or was never mapped
-- params: server_id = server.id, request_id = request.id, created_at = request.created_at
-- guard in sql: request.id is not none
-- guard in sql: mapping.state is not live
-- guard by api: rows.live is 0
-- rows: 1

-- rows: 1
DELETE FROM build_requests
WHERE build_requests.id = :request_id
  AND build_requests.instance_uuid = :server_id
  AND build_requests.created_at <=> :created_at
  AND NOT EXISTS (
    SELECT 1 FROM instance_mappings AS m
    WHERE m.instance_uuid = :server_id AND (m.queued_for_delete = 0 OR m.queued_for_delete IS NULL)
  );
