-- database: nova_api
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: every host that is mapped, and to which cell

-- rows: 0..n
SELECT h.host, c.uuid AS mapped_to
FROM host_mappings AS h
INNER JOIN cell_mappings AS c ON h.cell_id = c.id;
