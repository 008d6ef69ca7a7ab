-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: servers of a cell that need an image: booted from it, shelved into it, or about to boot from a copy of it
-- params: image_id = image.id
-- scan: instances, which has no index for image_ref; once for each image, and nova's own listing reads as much

-- rows: 0..n
SELECT i.uuid, (i.image_ref = :image_id OR i.kernel_id = :image_id OR i.ramdisk_id = :image_id) IS TRUE AS boots,
  EXISTS(
    SELECT 1 FROM instance_system_metadata AS m
    WHERE m.instance_uuid = i.uuid AND m.deleted = 0 AND m.`key` = 'shelved_image_id' AND m.value = :image_id
  ) AS keeps,
  EXISTS(
    SELECT 1 FROM block_device_mapping AS b
    WHERE b.instance_uuid = i.uuid AND b.deleted = 0 AND b.image_id = :image_id
      AND b.source_type = 'image' AND b.destination_type = 'volume' AND b.volume_id IS NULL
  ) AS copies
FROM instances AS i
WHERE i.deleted = 0
HAVING boots = 1 OR keeps = 1 OR copies = 1;
