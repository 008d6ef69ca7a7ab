-- database: cinder
-- releases: yoga .. 2026.2
-- purpose: soft-delete, as cinder-scheduler does, the reservations of a project that have expired
-- params: project_id = project.id
-- guard in sql: reservations.expired is not 0
-- guard in sql: reservations.live is 0
-- rows: 1..n

-- rows: 0..n
SELECT quota_usages.id FROM quota_usages
WHERE quota_usages.project_id = :project_id AND quota_usages.deleted = 0 FOR UPDATE;

-- rows: 1..n
UPDATE reservations
SET deleted = 1, deleted_at = UTC_TIMESTAMP()
WHERE reservations.project_id = :project_id
  AND reservations.deleted = 0
  AND NOT EXISTS (
    SELECT 1 FROM (
      SELECT DISTINCT r.id FROM reservations AS r
      WHERE r.project_id = :project_id
        AND r.deleted = 0
        AND (r.expire IS NULL OR r.expire >= UTC_TIMESTAMP())
    ) AS live
  );
