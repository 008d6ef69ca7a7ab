-- database: placement
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: allocations without a consumer's record, which placement's API counts and does not list
-- params: providers = providers.ids

-- rows: 0..n
SELECT DISTINCT p.uuid AS provider, a.consumer_id AS consumer
FROM resource_providers AS p
INNER JOIN allocations AS a ON p.id = a.resource_provider_id
WHERE p.uuid IN :providers AND NOT EXISTS (SELECT 1 FROM consumers AS c WHERE c.uuid = a.consumer_id);
