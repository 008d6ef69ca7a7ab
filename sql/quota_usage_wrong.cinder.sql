-- database: cinder
-- releases: yoga .. 2026.2
-- purpose: set one count of cinder to what there is, counted again by the statement that sets it
-- params: project_id = project.id, usage_id = usage.id, resource = usage.resource, kind = usage.kind
-- params: type_name = usage.type, in_use = usage.in_use, reserved = usage.reserved, counted = usage.counted
-- params: with_snapshots = usage.with_snapshots, young = project.young
-- guard in sql: usage.id is not none
-- guard in sql: reservations.live is 0
-- guard in sql: reservations.expired is 0
-- guard in sql: project.uncounted is 0
-- guard in sql: project.idle is True
-- guard by api: usage.known is True
-- rows: 1
-- scan: volumes and snapshots, before 2023.1, where nothing indexes their project; cinder counts them so as well

-- rows: 1..n
SELECT quota_usages.id FROM quota_usages
WHERE quota_usages.project_id = :project_id AND quota_usages.deleted = 0 FOR UPDATE;

-- rows: 0..n
SELECT reservations.id FROM reservations
WHERE reservations.project_id = :project_id AND reservations.deleted = 0 FOR UPDATE;

-- rows: 1
UPDATE quota_usages
SET in_use = :counted, reserved = 0, updated_at = UTC_TIMESTAMP()
WHERE quota_usages.id = :usage_id
  AND quota_usages.project_id = :project_id
  AND BINARY quota_usages.resource = :resource
  AND quota_usages.in_use = :in_use
  AND quota_usages.reserved = :reserved
  AND quota_usages.deleted = 0
  AND :counted = CASE :kind
    WHEN 'volumes' THEN (
      SELECT COUNT(*) FROM volumes AS v
      WHERE v.project_id = :project_id AND v.deleted = 0 AND v.use_quota = 1
        AND (:type_name IS NULL OR v.volume_type_id IN (
          SELECT t.id FROM volume_types AS t WHERE BINARY t.name = :type_name AND t.deleted = 0
        ))
    )
    WHEN 'gigabytes' THEN (
      SELECT COALESCE(SUM(v.size), 0) FROM volumes AS v
      WHERE v.project_id = :project_id AND v.deleted = 0 AND v.use_quota = 1
        AND (:type_name IS NULL OR v.volume_type_id IN (
          SELECT t.id FROM volume_types AS t WHERE BINARY t.name = :type_name AND t.deleted = 0
        ))
    ) + (
      SELECT COALESCE(SUM(s.volume_size), 0) FROM snapshots AS s
      WHERE s.project_id = :project_id AND s.deleted = 0 AND s.use_quota = 1 AND :with_snapshots = 1
        AND (:type_name IS NULL OR EXISTS (
          SELECT 1 FROM volumes AS v INNER JOIN volume_types AS t ON t.id = v.volume_type_id
          WHERE v.id = s.volume_id AND BINARY t.name = :type_name AND t.deleted = 0
        ))
    )
    WHEN 'snapshots' THEN (
      SELECT COUNT(*) FROM snapshots AS s
      WHERE s.project_id = :project_id AND s.deleted = 0 AND s.use_quota = 1
        AND (:type_name IS NULL OR EXISTS (
          SELECT 1 FROM volumes AS v INNER JOIN volume_types AS t ON t.id = v.volume_type_id
          WHERE v.id = s.volume_id AND BINARY t.name = :type_name AND t.deleted = 0
        ))
    )
    WHEN 'backups' THEN (
      SELECT COUNT(*) FROM backups AS b WHERE b.project_id = :project_id AND b.deleted = 0
    )
    WHEN 'backup_gigabytes' THEN (
      SELECT COALESCE(SUM(b.size), 0) FROM backups AS b WHERE b.project_id = :project_id AND b.deleted = 0
    )
    WHEN 'groups' THEN (
      SELECT COUNT(*) FROM `groups` AS g WHERE g.project_id = :project_id AND g.deleted = 0
    )
  END
  AND NOT EXISTS (
    SELECT 1 FROM reservations AS r WHERE r.project_id = :project_id AND r.deleted = 0
  )
  AND NOT EXISTS (
    SELECT 1 FROM reservations AS r WHERE r.usage_id = :usage_id AND r.deleted = 0
  )
  AND NOT EXISTS (
    SELECT 1 FROM volumes AS v WHERE v.project_id = :project_id AND v.deleted = 0 AND v.use_quota IS NULL
  )
  AND NOT EXISTS (
    SELECT 1 FROM snapshots AS s WHERE s.project_id = :project_id AND s.deleted = 0 AND s.use_quota IS NULL
  )
  AND NOT EXISTS (
    SELECT 1 FROM volumes AS v
    WHERE v.project_id = :project_id AND v.deleted = 0
      AND v.status IN ('creating', 'deleting', 'extending', 'retyping', 'managing', 'unmanaging')
      AND COALESCE(v.updated_at, v.created_at) > UTC_TIMESTAMP() - INTERVAL :young SECOND
  )
  AND NOT EXISTS (
    SELECT 1 FROM snapshots AS s
    WHERE s.project_id = :project_id AND s.deleted = 0 AND s.status IN ('creating', 'deleting')
      AND COALESCE(s.updated_at, s.created_at) > UTC_TIMESTAMP() - INTERVAL :young SECOND
  )
  AND NOT EXISTS (
    SELECT 1 FROM backups AS b
    WHERE b.project_id = :project_id AND b.deleted = 0 AND b.status IN ('creating', 'deleting', 'restoring')
      AND COALESCE(b.updated_at, b.created_at) > UTC_TIMESTAMP() - INTERVAL :young SECOND
  );
