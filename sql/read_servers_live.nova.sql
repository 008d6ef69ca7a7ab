-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: which of a page of servers are live in a cell
-- params: server_ids = page.servers

-- rows: 0..n
SELECT i.uuid FROM instances AS i WHERE i.uuid IN :server_ids AND i.deleted = 0;
