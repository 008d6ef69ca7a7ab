-- database: cinder
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: how many reservations that are over wait to be purged; of all that cinder soft-deletes they grow fastest

-- rows: 1
SELECT COUNT(*) AS waiting FROM reservations AS r WHERE r.deleted = 1;
