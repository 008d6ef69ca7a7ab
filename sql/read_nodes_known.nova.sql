-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: the nodes of these uuids, removed ones too, by which a resource provider is known as nova's
-- params: nodes = providers.ids

-- rows: 0..n
SELECT n.uuid, n.hypervisor_hostname AS name, n.host, n.deleted FROM compute_nodes AS n WHERE n.uuid IN :nodes;
