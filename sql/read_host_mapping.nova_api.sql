-- database: nova_api
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: to which cell a host is mapped
-- params: host = compute.id

-- rows: 0..1
SELECT h.id, c.uuid AS mapped_to
FROM host_mappings AS h
INNER JOIN cell_mappings AS c ON h.cell_id = c.id
WHERE h.host = :host AND BINARY h.host = :host;
