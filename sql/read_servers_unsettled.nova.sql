-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: servers of a cell that are in error, being built, or in a task
-- scan: instances, no index leads to vm_state or task_state, and nova's own listing by state reads it whole as well

-- rows: 0..n
SELECT i.uuid FROM instances AS i
WHERE i.deleted = 0 AND (i.vm_state IN ('error', 'building') OR i.task_state IS NOT NULL);
