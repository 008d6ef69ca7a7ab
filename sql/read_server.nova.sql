-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: a cell's row of one server, live or deleted, with what its cache says of its ports
-- params: server_id = server.id

-- rows: 0..n
SELECT i.id, i.uuid, i.display_name, i.project_id, i.host, i.node, i.vm_state, i.task_state, i.locked,
  i.disable_terminate, i.created_at, i.updated_at, i.deleted_at, i.deleted, c.network_info,
  (SELECT COUNT(*) FROM block_device_mapping AS b
    WHERE b.instance_uuid = i.uuid AND b.deleted = 0 AND b.volume_id IS NOT NULL) AS volumes,
  (SELECT COUNT(*) FROM fixed_ips AS f WHERE f.instance_uuid = i.uuid)
    + (SELECT COUNT(*) FROM consoles AS o WHERE o.instance_uuid = i.uuid) AS referenced
FROM instances AS i
LEFT JOIN instance_info_caches AS c ON c.instance_uuid = i.uuid
WHERE i.uuid = :server_id;
