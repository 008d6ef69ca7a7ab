-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: the live mappings of one volume in a cell; connection data stays where it is
-- params: volume_id = volume.id

-- rows: 0..n
SELECT b.id, b.uuid, b.instance_uuid, b.volume_id, b.attachment_id, b.boot_index, b.device_name,
  (b.connection_info IS NOT NULL AND b.connection_info NOT IN ('', 'null', '{}')) AS connected
FROM block_device_mapping AS b
WHERE b.volume_id = :volume_id AND b.deleted = 0
  AND EXISTS (SELECT 1 FROM instances AS i WHERE i.uuid = b.instance_uuid AND i.deleted = 0);
