-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: how many servers each host of a cell has; those without a host count under none

-- rows: 0..n
SELECT i.host, COUNT(*) AS servers FROM instances AS i WHERE i.deleted = 0 GROUP BY i.host;
