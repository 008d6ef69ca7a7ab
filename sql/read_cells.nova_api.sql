-- database: nova_api
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: the cells and how to reach their databases

-- rows: 0..n
SELECT c.uuid, c.name, c.database_connection FROM cell_mappings AS c ORDER BY c.id;
