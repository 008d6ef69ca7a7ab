-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: a cell's migrations of one server, those of a deleted one included
-- params: server_id = server.id

-- rows: 0..n
SELECT m.id, m.status, m.migration_type, m.source_compute, m.dest_compute
FROM migrations AS m WHERE m.instance_uuid = :server_id;
