-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: a page of the servers of a cell, with where they are and what is done with them
-- params: after = page.after, page = page.rows

-- rows: 0..n
SELECT i.uuid, i.host, i.node, i.vm_state, i.task_state FROM instances AS i FORCE INDEX (instances_uuid_deleted_idx)
WHERE i.uuid > :after AND i.deleted = 0
ORDER BY i.uuid LIMIT :page;
