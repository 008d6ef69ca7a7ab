-- database: glance
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: an image as glance keeps it, deleted or not, and whether a store may have its data; once for each location
-- params: image_id = image.id

-- rows: 0..n
SELECT i.name, i.owner, i.status, i.deleted, i.deleted_at,
  l.id AS location_id, l.status AS location_status, l.deleted AS location_deleted
FROM images AS i
LEFT JOIN image_locations AS l ON l.image_id = i.id
WHERE i.id = :image_id;
