-- database: nova_api
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: in which cell nova looks for one server, and whether it counts it as deleted
-- params: server_id = server.id

-- rows: 0..n
SELECT m.id, m.project_id, m.queued_for_delete, m.created_at, m.updated_at, c.uuid AS cell_uuid
FROM instance_mappings AS m
LEFT JOIN cell_mappings AS c ON c.id = m.cell_id
WHERE m.instance_uuid = :server_id;
