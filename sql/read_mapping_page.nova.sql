-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: one page of the volumes that live servers of a cell map, by the index on the volume
-- params: after = page.after, page = page.rows

-- rows: 0..n
SELECT b.volume_id, b.attachment_id, b.instance_uuid FROM block_device_mapping AS b FORCE INDEX (volume_id)
WHERE b.volume_id > :after AND b.deleted = 0
  AND EXISTS (SELECT 1 FROM instances AS i WHERE i.uuid = b.instance_uuid AND i.deleted = 0)
ORDER BY b.volume_id LIMIT :page;
