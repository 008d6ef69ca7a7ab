-- database: cinder
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: the volumes in which cinder keeps copies of an image (image_volume_cache_enabled)
-- params: image_id = image.id

-- rows: 0..n
SELECT e.volume_id FROM image_volume_cache_entries AS e WHERE e.image_id = :image_id;
