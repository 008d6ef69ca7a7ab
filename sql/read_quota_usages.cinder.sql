-- database: cinder
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: what cinder has counted for some projects, and what its reservations promise of it
-- params: project_ids = page.projects

-- rows: 0..n
SELECT q.id, q.project_id, q.resource, q.in_use, q.reserved,
  COALESCE(SUM(IF(r.delta > 0, r.delta, 0)), 0) AS promised
FROM quota_usages AS q
LEFT JOIN reservations AS r ON r.usage_id = q.id AND r.deleted = 0
WHERE q.project_id IN :project_ids AND q.deleted = 0
GROUP BY q.id, q.project_id, q.resource, q.in_use, q.reserved;
