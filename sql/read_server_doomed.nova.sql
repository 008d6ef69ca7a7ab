-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: the volumes that nova deletes with one server, for a server that the API does not show
-- params: server_id = server.id

-- rows: 0..n
SELECT b.volume_id
FROM block_device_mapping AS b
WHERE b.instance_uuid = :server_id
  AND b.deleted = 0
  AND b.volume_id IS NOT NULL
  AND b.delete_on_termination = 1
ORDER BY b.id;
