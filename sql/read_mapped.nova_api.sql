-- database: nova_api
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: whether one server is mapped, to prove that this is the database behind the API
-- params: server_id = server.id

-- rows: 0..n
SELECT m.instance_uuid FROM instance_mappings AS m WHERE m.instance_uuid = :server_id;
