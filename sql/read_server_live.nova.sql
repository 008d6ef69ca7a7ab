-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: whether a cell has a live row of a server
-- params: server_id = server.id

-- rows: 0..n
SELECT i.uuid FROM instances AS i WHERE i.uuid = :server_id AND i.deleted = 0;
