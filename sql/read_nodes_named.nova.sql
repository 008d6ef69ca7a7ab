-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: who has nodes of these names now: ironic's move from host to host
-- params: names = nodes.names

-- rows: 0..n
SELECT n.host, n.uuid, n.hypervisor_hostname AS name
FROM compute_nodes AS n
WHERE n.hypervisor_hostname IN :names AND n.deleted = 0;
