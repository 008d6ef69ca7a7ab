-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: a page of a cell's servers, with what nova remembers of their addresses
-- params: after = page.after, page = page.rows

-- rows: 0..n
SELECT i.uuid, i.display_name, i.project_id, i.host, c.network_info
FROM instances AS i FORCE INDEX (instances_uuid_deleted_idx)
LEFT JOIN instance_info_caches AS c ON c.instance_uuid = i.uuid AND c.deleted = 0
WHERE i.uuid > :after AND i.deleted = 0 AND (i.vm_state IS NULL OR i.vm_state <> 'soft-delete')
ORDER BY i.uuid LIMIT :page;
