-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: how many deleted servers wait in a cell to be archived

-- rows: 1
SELECT COUNT(*) AS waiting FROM instances AS i WHERE i.deleted > 0;
