-- database: nova_api
-- releases: yoga .. 2026.2
-- purpose: forget to which cell a host belonged that has no service, no node and no server any more
-- params: mapping_id = host_mapping.id, cell_id = host_mapping.cell, host = compute.id
-- guard in sql: host_mapping.id is not none
-- guard by api: service.uuid is none
-- guard by api: servers.count is 0
-- rows: 1

-- rows: 1
DELETE FROM host_mappings
WHERE host_mappings.id = :mapping_id
  AND BINARY host_mappings.host = :host
  AND EXISTS (SELECT 1 FROM cell_mappings AS c WHERE c.id = host_mappings.cell_id AND c.uuid = :cell_id);
