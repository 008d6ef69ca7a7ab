-- database: nova
-- releases: yoga .. 2026.2
-- purpose: let discover_hosts map a removed node should it come back: up to 2024.1 nova leaves it mapped
-- params: node_id = removed_node.id, host = compute.id
-- guard in sql: removed_node.id is not none
-- rows: 1

-- rows: 1
UPDATE compute_nodes
SET mapped = 0
WHERE compute_nodes.id = :node_id
  AND BINARY compute_nodes.host = :host
  AND compute_nodes.deleted <> 0
  AND compute_nodes.mapped <> 0;
