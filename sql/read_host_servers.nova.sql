-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: the servers of a host in each cell, soft-deleted ones that can still be restored too
-- params: host = compute.id

-- rows: 0..n
SELECT i.uuid FROM instances AS i WHERE i.host = :host AND BINARY i.host = :host AND i.deleted = 0;
