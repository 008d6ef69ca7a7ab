-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: how many servers each host of a cell has
-- scan: instances, every host is counted at once, through an index, for a list that somebody asked for

-- rows: 0..n
SELECT i.host, COUNT(*) AS servers FROM instances AS i WHERE i.host IS NOT NULL AND i.deleted = 0 GROUP BY i.host;
