-- database: nova_api
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: the request to build one server, which is there until a cell has it
-- params: server_id = server.id

-- rows: 0..n
SELECT b.id, b.project_id, b.created_at, b.updated_at FROM build_requests AS b WHERE b.instance_uuid = :server_id;
