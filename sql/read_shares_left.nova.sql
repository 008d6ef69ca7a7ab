-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: deleted servers whose shares are still mapped in a cell, which nova-manage db archive_deleted_rows stops at

-- rows: 0..n, where the table exists
SELECT i.uuid, i.display_name AS name, i.project_id, i.deleted_at, COUNT(*) AS shares
FROM share_mapping AS s
INNER JOIN instances AS i ON s.instance_uuid = i.uuid
WHERE i.deleted <> 0
GROUP BY i.uuid, i.display_name, i.project_id, i.deleted_at;
