-- database: nova
-- releases: yoga .. 2026.2
-- purpose: soft-delete, as nova does, a node whose nova-compute has no service any more
-- params: node_id = node.id, node_uuid = node.uuid, seen = node.updated_at, host = compute.id
-- guard in sql: node.id is not none
-- guard in sql: service.uuid is none
-- guard in sql: servers.count is 0
-- guard by api: migrations.count is 0
-- rows: 1

-- rows: 1
UPDATE compute_nodes
SET deleted = id, deleted_at = UTC_TIMESTAMP(), mapped = 0
WHERE compute_nodes.id = :node_id
  AND compute_nodes.uuid = :node_uuid
  AND BINARY compute_nodes.host = :host
  AND compute_nodes.deleted = 0
  AND compute_nodes.updated_at <=> :seen
  AND NOT EXISTS (
    SELECT 1 FROM services AS s WHERE s.host = :host AND s.`binary` = 'nova-compute' AND s.deleted = 0
  )
  AND NOT EXISTS (SELECT 1 FROM instances AS i WHERE i.host = :host AND i.deleted = 0)
  AND NOT EXISTS (
    SELECT 1 FROM migrations AS m
    WHERE m.source_compute = :host AND m.deleted = 0
      AND m.status NOT IN ('confirmed', 'reverted', 'error', 'failed', 'completed', 'cancelled', 'done')
  );
