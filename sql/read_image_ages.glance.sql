-- database: glance
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: when images changed last; proves that this database is the one behind the API
-- params: image_ids = image.ids

-- rows: 0..n
SELECT i.id, COALESCE(i.updated_at, i.created_at) AS changed_at
FROM images AS i
WHERE i.id IN :image_ids AND i.deleted = 0;
