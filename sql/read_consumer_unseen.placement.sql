-- database: placement
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: the providers of which a consumer without a record holds something, which placement's API does not list
-- params: consumer_id = placement.id

-- rows: 0..n
SELECT DISTINCT p.uuid AS provider
FROM allocations AS a
INNER JOIN resource_providers AS p ON a.resource_provider_id = p.id
WHERE a.consumer_id = :consumer_id AND NOT EXISTS (SELECT 1 FROM consumers AS c WHERE c.uuid = :consumer_id);
