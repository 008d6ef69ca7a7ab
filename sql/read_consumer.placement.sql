-- database: placement
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: the record of one consumer, and whether it has been the same for an hour
-- params: consumer_id = placement.id

-- rows: 0..1
SELECT c.generation, c.created_at, c.updated_at,
  COALESCE(c.updated_at, c.created_at) < UTC_TIMESTAMP() - INTERVAL 1 HOUR AS settled
FROM consumers AS c WHERE c.uuid = :consumer_id;
