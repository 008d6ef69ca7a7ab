-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: the live servers of a cell on some hosts, those included that nova's API does not find
-- params: hosts = hosts

-- rows: 0..n
SELECT i.uuid, i.host FROM instances AS i WHERE i.host IN :hosts AND i.deleted = 0;
