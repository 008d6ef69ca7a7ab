-- database: placement
-- releases: yoga .. 2026.2
-- purpose: delete the record of a consumer that has held nothing for an hour, as placement does with the last one
-- params: consumer_id = placement.id, generation = consumer.generation
-- guard in sql: consumer.held is False
-- guard in sql: consumer.settled is True
-- guard by api: consumer.standing is dead
-- rows: 1

-- rows: 1
DELETE FROM consumers
WHERE consumers.uuid = :consumer_id
  AND consumers.generation = :generation
  AND COALESCE(consumers.updated_at, consumers.created_at) < UTC_TIMESTAMP() - INTERVAL 1 HOUR
  AND NOT EXISTS (SELECT 1 FROM allocations AS a WHERE a.consumer_id = :consumer_id);
