-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: the attachments that live servers of a cell use, of a page of volumes
-- params: volume_ids = page.volumes

-- rows: 0..n
SELECT b.attachment_id FROM block_device_mapping AS b
WHERE b.volume_id IN :volume_ids AND b.deleted = 0
  AND EXISTS (SELECT 1 FROM instances AS i WHERE i.uuid = b.instance_uuid AND i.deleted = 0);
