-- database: placement
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: consumers of which there is a record and nothing else
-- scan: consumers, each has to be looked up among the allocations, and there are as many as servers

-- rows: 0..n
SELECT c.uuid AS consumer
FROM consumers AS c
WHERE NOT EXISTS (SELECT 1 FROM allocations AS a WHERE a.consumer_id = c.uuid);
