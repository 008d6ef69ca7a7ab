-- database: glance
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: images of a name that are deleted and wait for glance-scrubber: the API does not show them
-- params: image_name = image.name

-- rows: 0..n
SELECT i.id, i.owner FROM images AS i
WHERE i.deleted = 1 AND i.status = 'pending_delete'
  AND BINARY CONVERT(i.name USING utf8mb4) = :image_name;
