-- database: cinder
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: what there is of some projects, by volume type; uncounted is what the upgrade left without a word on quota
-- params: project_ids = page.projects
-- scan: volumes and snapshots, before 2023.1, where nothing indexes their project; cinder counts them so as well

-- rows: 0..n
SELECT 'volumes' AS kind, v.project_id, t.name AS type_name,
  COALESCE(SUM(v.use_quota = 1), 0) AS things, COALESCE(SUM(IF(v.use_quota = 1, v.size, 0)), 0) AS gigabytes,
  SUM(v.use_quota IS NULL) AS uncounted
FROM volumes AS v
LEFT JOIN volume_types AS t ON t.id = v.volume_type_id AND t.deleted = 0
WHERE v.project_id IN :project_ids AND v.deleted = 0
GROUP BY v.project_id, t.id, t.name
UNION ALL
SELECT 'snapshots' AS kind, s.project_id, t.name AS type_name,
  COALESCE(SUM(s.use_quota = 1), 0) AS things, COALESCE(SUM(IF(s.use_quota = 1, s.volume_size, 0)), 0) AS gigabytes,
  SUM(s.use_quota IS NULL) AS uncounted
FROM snapshots AS s
LEFT JOIN volumes AS v ON v.id = s.volume_id
LEFT JOIN volume_types AS t ON t.id = v.volume_type_id AND t.deleted = 0
WHERE s.project_id IN :project_ids AND s.deleted = 0
GROUP BY s.project_id, t.id, t.name
UNION ALL
SELECT 'backups' AS kind, b.project_id, NULL AS type_name, COUNT(*) AS things, COALESCE(SUM(b.size), 0) AS gigabytes,
  0 AS uncounted
FROM backups AS b
WHERE b.project_id IN :project_ids AND b.deleted = 0
GROUP BY b.project_id
UNION ALL
SELECT 'groups' AS kind, g.project_id, NULL AS type_name, COUNT(*) AS things, 0 AS gigabytes, 0 AS uncounted
FROM `groups` AS g
WHERE g.project_id IN :project_ids AND g.deleted = 0
GROUP BY g.project_id;
