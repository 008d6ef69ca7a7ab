-- database: nova_api
-- releases: yoga .. 2026.2
-- purpose: map a host to the cell whose database has it, as discover_hosts does; its name is unique, whatever its case
-- params: host = host.id, cell_id = host.cell
-- guard in sql: host.mapping is none
-- guard by api: host.cells is 1
-- rows: 1

-- rows: 0
SELECT h.id FROM host_mappings AS h WHERE h.host = :host FOR UPDATE;

-- rows: 1
INSERT INTO host_mappings (created_at, cell_id, host)
SELECT UTC_TIMESTAMP(), c.id, :host
FROM cell_mappings AS c
WHERE c.uuid = :cell_id;
