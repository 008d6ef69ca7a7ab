-- database: nova
-- releases: yoga .. 2026.2
-- purpose: let nova terminate a server again, so that it can delete it itself
-- params: server_id = server.id, row_id = row.id, unlocked = server.unlock
-- guard in sql: row.id is not none
-- guard in sql: rows.terminate_disabled is True
-- guard in sql: server.locked_out is False
-- guard by api: server.answered is True
-- guard by api: server.in_flight is False
-- guard by api: server.resize_waits is False
-- guard by api: server.written is False
-- rows: 1

-- rows: 1
UPDATE instances
SET disable_terminate = 0
WHERE instances.id = :row_id
  AND instances.uuid = :server_id
  AND instances.deleted = 0
  AND instances.disable_terminate = 1
  AND (:unlocked = 1 OR instances.locked IS NULL OR instances.locked = 0);
