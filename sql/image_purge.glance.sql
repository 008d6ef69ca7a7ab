-- database: glance
-- releases: yoga .. 2026.2
-- purpose: delete, as glance does, an image of which no store has anything
-- params: image_id = image.id, image_status = image.status
-- guard in sql: image.live is True
-- guard in sql: image.waits is False
-- guard in sql: locations.referenced is 0
-- guard in sql: image.protected is False
-- guard by api: image.shown is True
-- guard by api: image.moved is False
-- guard by api: cells.up is True
-- guard by api: servers.count is 0
-- guard by api: shelved.count is 0
-- guard by api: builds.count is 0
-- guard by api: source.task_state is none
-- guard by api: volumes.count is 0
-- guard by api: uploads.count is 0
-- guard by api: snapshots.count is 0
-- guard by api: cached_odd.count is 0
-- guard by api: cached.count is 0
-- rows: 1

-- rows: 1
SELECT images.id FROM images WHERE images.id = :image_id AND images.deleted = 0 FOR UPDATE;

-- rows: 1
UPDATE images
SET status = 'deleted', deleted = 1, deleted_at = UTC_TIMESTAMP(), updated_at = UTC_TIMESTAMP()
WHERE images.id = :image_id
  AND images.deleted = 0
  AND images.protected = 0
  AND images.status = :image_status
  AND images.status <> 'pending_delete'
  AND NOT EXISTS (
    SELECT 1 FROM image_locations AS l
    WHERE l.image_id = :image_id AND (l.status = 'pending_delete' OR (l.deleted = 0 AND l.status = 'active'))
  );

-- rows: 0..n
UPDATE image_locations
SET status = 'deleted', deleted = 1, deleted_at = UTC_TIMESTAMP()
WHERE image_locations.image_id = :image_id AND image_locations.deleted = 0;

-- rows: 0..n
UPDATE image_properties
SET deleted = 1, deleted_at = UTC_TIMESTAMP()
WHERE image_properties.image_id = :image_id AND image_properties.deleted = 0;

-- rows: 0..n
UPDATE image_members
SET deleted = 1, deleted_at = UTC_TIMESTAMP()
WHERE image_members.image_id = :image_id AND image_members.deleted = 0;

-- rows: 0..n
UPDATE image_tags
SET deleted = 1, deleted_at = UTC_TIMESTAMP()
WHERE image_tags.image_id = :image_id AND image_tags.deleted = 0;
