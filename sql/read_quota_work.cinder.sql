-- database: cinder
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: what is in flight of some projects: reservations, live or expired, and what is being made, changed, deleted
-- params: project_ids = page.projects
-- scan: volumes and snapshots, before 2023.1, where nothing indexes their project; cinder counts them so as well

-- rows: 0..n
SELECT IF(r.expire < UTC_TIMESTAMP(), 'expired', 'reservations') AS kind, r.project_id, COUNT(*) AS things,
  MAX(r.created_at) AS changed_at, MAX(r.expire) AS ends_at
FROM reservations AS r
WHERE r.project_id IN :project_ids AND r.deleted = 0
GROUP BY r.project_id, IF(r.expire < UTC_TIMESTAMP(), 'expired', 'reservations')
UNION ALL
SELECT 'volumes' AS kind, v.project_id, COUNT(*) AS things, MAX(COALESCE(v.updated_at, v.created_at)) AS changed_at,
  NULL AS ends_at
FROM volumes AS v
WHERE v.project_id IN :project_ids AND v.deleted = 0
  AND v.status IN ('creating', 'deleting', 'extending', 'retyping', 'managing', 'unmanaging')
GROUP BY v.project_id
UNION ALL
SELECT 'snapshots' AS kind, s.project_id, COUNT(*) AS things, MAX(COALESCE(s.updated_at, s.created_at)) AS changed_at,
  NULL AS ends_at
FROM snapshots AS s
WHERE s.project_id IN :project_ids AND s.deleted = 0 AND s.status IN ('creating', 'deleting')
GROUP BY s.project_id
UNION ALL
SELECT 'backups' AS kind, b.project_id, COUNT(*) AS things, MAX(COALESCE(b.updated_at, b.created_at)) AS changed_at,
  NULL AS ends_at
FROM backups AS b
WHERE b.project_id IN :project_ids AND b.deleted = 0 AND b.status IN ('creating', 'deleting', 'restoring')
GROUP BY b.project_id;
