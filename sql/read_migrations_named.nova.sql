-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: which of some consumers of placement are migrations, over or not
-- params: consumers = placement.id

-- rows: 0..n
SELECT m.uuid, m.id, m.instance_uuid, m.status, m.migration_type FROM migrations AS m WHERE m.uuid IN :consumers;
