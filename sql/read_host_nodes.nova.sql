-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: the nodes of a host in each cell, removed ones too: their names are those of its resource providers
-- params: host = compute.id

-- rows: 0..n
SELECT n.id, n.uuid, n.hypervisor_hostname AS name, n.updated_at, n.mapped, n.deleted
FROM compute_nodes AS n
WHERE n.host = :host AND BINARY n.host = :host;
