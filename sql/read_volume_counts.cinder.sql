-- database: cinder
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: how many volumes each pool of each backend has; those without a host count under none
-- scan: volumes, once a list, by set and not row by row; before 2023.1 no index has their host, and nearly all count

-- rows: 0..n
SELECT v.host, COUNT(*) AS volumes FROM volumes AS v WHERE COALESCE(v.deleted, 1) = 0 GROUP BY v.host;
