-- database: nova_api
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: every aggregate with its hosts, to prove that this is the database behind the API

-- rows: 0..n
SELECT a.id, a.name, h.host
FROM aggregates AS a
LEFT JOIN aggregate_hosts AS h ON a.id = h.aggregate_id;
