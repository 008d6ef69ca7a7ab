-- database: placement
-- releases: yoga .. 2026.2
-- purpose: delete what a consumer without a record holds of a dead host: placement's API counts it and does not show it
-- params: provider_id = unseen.provider, consumer_id = unseen.consumer
-- guard in sql: unseen.consumer is not none
-- guard by api: allocations.unproven is 0
-- rows: 1..n

-- rows: 1..n
DELETE FROM allocations
WHERE allocations.consumer_id = :consumer_id
  AND EXISTS (
    SELECT 1 FROM resource_providers AS p WHERE p.id = allocations.resource_provider_id AND p.uuid = :provider_id
  )
  AND NOT EXISTS (SELECT 1 FROM consumers AS c WHERE c.uuid = :consumer_id);
