-- database: cinder
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: how many volumes each pool of each backend has; those without a host count under none

-- rows: 0..n
SELECT v.host, COUNT(*) AS volumes FROM volumes AS v WHERE v.deleted = 0 GROUP BY v.host;
