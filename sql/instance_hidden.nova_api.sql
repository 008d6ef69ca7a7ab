-- database: nova_api
-- releases: yoga .. 2026.2
-- purpose: map a server to the cell that has it, so that nova finds it and can delete it itself
-- params: server_id = server.id, mapping_id = mapping.id, cell = cell
-- guard in sql: mapping.id is not none
-- guard in sql: mapping.mendable is True
-- guard by api: rows.live is 1
-- guard by api: server.locked_out is False
-- guard by api: server.resize_waits is False
-- guard by api: server.in_flight is False
-- guard by api: server.written is False
-- rows: 1

-- rows: 1
UPDATE instance_mappings
SET cell_id = (SELECT c.id FROM cell_mappings AS c WHERE c.uuid = :cell), updated_at = UTC_TIMESTAMP()
WHERE instance_mappings.id = :mapping_id
  AND instance_mappings.instance_uuid = :server_id
  AND instance_mappings.cell_id IS NULL
  AND EXISTS (SELECT 1 FROM cell_mappings AS d WHERE d.uuid = :cell)
  AND NOT EXISTS (SELECT 1 FROM build_requests AS b WHERE b.instance_uuid = :server_id);
