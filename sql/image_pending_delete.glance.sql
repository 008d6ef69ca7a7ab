-- database: glance
-- releases: yoga .. 2026.2
-- purpose: end the deletion of an image whose data glance-scrubber has taken, and which it then forgot
-- params: image_id = image.id
-- guard in sql: image.waits is True
-- guard in sql: locations.unfinished is 0
-- rows: 1

-- rows: 1
SELECT images.id FROM images WHERE images.id = :image_id AND images.deleted = 1 FOR UPDATE;

-- rows: 1
UPDATE images
SET status = 'deleted', updated_at = UTC_TIMESTAMP()
WHERE images.id = :image_id
  AND images.deleted = 1
  AND images.status = 'pending_delete'
  AND NOT EXISTS (
    SELECT 1 FROM image_locations AS l WHERE l.image_id = :image_id AND l.status <> 'deleted'
  );
