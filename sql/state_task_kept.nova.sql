-- database: nova
-- releases: yoga .. 2026.2
-- purpose: end a task that nobody works on, and leave the server's state as it is
-- params: server_id = server.id, vm_state = server.vm_state, task_state = server.task_state
-- params: host = server.host, seen = server.seen_at
-- guard in sql: server.task_state is not none
-- guard in sql: server.vm_state is one of paused, suspended, rescued, resized, shelved, shelved_offloaded, soft-delete
-- guard in sql: server.task_state is none of deleting, soft-deleting
-- guard in sql: server.migration is none
-- guard by api: server.wanted is active
-- guard by api: server.host_state is one of up, none
-- rows: 1

-- rows: 1
UPDATE instances
SET task_state = NULL, updated_at = UTC_TIMESTAMP()
WHERE instances.uuid = :server_id
  AND instances.deleted = 0
  AND instances.vm_state = :vm_state
  AND instances.vm_state IN ('paused', 'suspended', 'rescued', 'resized', 'shelved', 'shelved_offloaded', 'soft-delete')
  AND instances.task_state = :task_state
  AND instances.task_state NOT IN ('deleting', 'soft-deleting')
  AND BINARY instances.host <=> :host
  AND instances.updated_at <=> :seen
  AND NOT EXISTS (
    SELECT 1 FROM migrations AS m
    WHERE m.instance_uuid = :server_id AND m.deleted = 0
      AND m.status NOT IN ('confirmed', 'reverted', 'error', 'failed', 'completed', 'cancelled', 'done')
  );
