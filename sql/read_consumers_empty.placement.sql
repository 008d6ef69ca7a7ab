-- database: placement
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: consumers of which there is a record and nothing else
-- scan: consumers and allocations, one is compared with the other, and each has as many as there are servers

-- rows: 0..n
SELECT c.uuid AS consumer
FROM consumers AS c
WHERE NOT EXISTS (SELECT 1 FROM allocations AS a WHERE a.consumer_id = c.uuid);
